// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include "handles.h"

#include <fmt/core.h>

#include <fstream>

using nlohmann::json;

namespace {

json to_json(const Row &r) {
  return {{"test", r.test},
          {"size", r.size},
          {"blocks", r.blocks},
          {"operations", r.operations},
          {"window", r.window},
          {"threads", r.threads},
          {"bidir", r.bidir},
          {"verified", r.verified},
          {"bytes", r.bytes},
          {"seconds", r.seconds},
          {"gb_per_s", r.gb_per_s()},
          {"operations_per_s", r.operations_per_s()},
          {"min_us", r.latency.min_us},
          {"p50_us", r.latency.p50_us},
          {"p99_us", r.latency.p99_us},
          {"cpu_us_local", r.cpu_us_local},
          {"cpu_us_remote", r.cpu_us_remote ? json(*r.cpu_us_remote) : json(nullptr)},
          {"path", r.path},
          {"provider", r.provider},
          {"rail", r.rail},
          {"memory", r.memory},
          {"peer_memory", r.peer_memory}};
}

void print_csv(const json &row, bool header) {
  std::string names, values;
  for (const auto &[key, value] : row.items()) {
    const char *const separator = names.empty() ? "" : ",";
    names.append(separator).append(key);
    values.append(separator).append(value.is_string() ? value.get<std::string>() : value.dump());
  }
  if (header) fmt::print("{}\n", names);
  fmt::print("{}\n", values);
}

void print_table_header() {
  fmt::print("{:<9} {:>8} {:>7} {:>8} {:>9} {:>11} {:>10} {:>10} {:>9} {:>9}  {}\n", "test", "size", "blocks", "ops",
             "GB/s", "ops/s", "p50 us", "p99 us", "CPU us", "(remote)", "path, rail");
}

void print_table_row(const Row &r) {
  fmt::print("{:<9} {:>8} {:>7} {:>8} {:>9.3f} {:>11.0f} {:>10.2f} {:>10.2f} {:>9.2f} {:>9}  {}{}{}\n", r.test,
             size_text(r.size), r.blocks, r.operations, r.gb_per_s(), r.operations_per_s(), r.latency.p50_us,
             r.latency.p99_us, r.cpu_us_local, r.cpu_us_remote ? fmt::format("{:.2f}", *r.cpu_us_remote) : "shared",
             r.path, r.rail.empty() ? "" : ", " + r.rail, r.verified ? ", every byte checked" : "");
}

}  // namespace

void Report::begin(const Setting &setting) {
  setting_ = setting;
  if (quiet() || options_.csv) return;
  fmt::print("pirn {}, libfabric {}: {} to {}, memory {} here, {} there, {}window {}, {} thread{}{}, seed {}\n", pirn_version_string(),
             pirn_info_libfabric_version(), setting.provider, setting.address, options_.memory, setting.peer_memory,
             options_.path.empty() ? "" : "path " + options_.path + " demanded, ", options_.window,
             options_.threads, options_.threads == 1 ? "" : "s", options_.bidir ? ", both directions" : "",
             options_.seed);
  if (setting.mode == "same-process")
    fmt::print("{} does not leave a process: both endpoints live in this one, in two threads\n",
               options_.path == "self" ? "path self" : setting.provider);
  print_table_header();
  std::fflush(stdout);
}

void Report::add(const Row &row) {
  rows_.push_back(to_json(row));
  if (quiet()) return;
  if (options_.csv)
    print_csv(rows_.back(), rows_.size() == 1);
  else
    print_table_row(row);
  std::fflush(stdout);
}

void Report::finish(const std::string &error) {
  if (options_.json.empty()) return;
  const json document = {{"schema", 1},
                         {"tool", "pirn-perf"},
                         {"version", pirn_version_string()},
                         {"libfabric", pirn_info_libfabric_version()},
                         {"mode", setting_.mode},
                         {"provider", setting_.provider},
                         {"path", setting_.path},
                         {"path_demanded", options_.path},
                         {"memory", options_.memory},
                         {"peer_memory", setting_.peer_memory},
                         {"address", setting_.address},
                         {"explanation", setting_.explanation},
                         {"seed", options_.seed},
                         {"ok", error.empty()},
                         {"error", error},
                         {"results", rows_}};
  if (quiet()) {
    fmt::print("{}\n", document.dump(2));
    return;
  }
  std::ofstream file(options_.json);
  file << document.dump(2) << '\n';
  file.close();
  if (!file) throw Failure("could not write " + options_.json);
}
