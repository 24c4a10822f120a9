// SPDX-License-Identifier: Apache-2.0
#include "pirn_facts.h"

#include "../pirn-info/collect.h"
#include "../pirn-info/devices.h"

#include <fmt/core.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace doctor {
namespace {

constexpr auto patience = std::chrono::seconds(60);  // EFA's start makes a CUDA context, which can take seconds

void drop_line(void *, uint32_t, const char *) {}

enum class Topic { fabric, devices };

nlohmann::json collect_topic(pirn_context *context, Topic topic) {
  if (topic == Topic::fabric) return collect(context);
  nlohmann::json facts{{"nics", nlohmann::json::array()}};
  add_devices(context, facts);
  return facts;
}

std::optional<nlohmann::json> collect_once(Topic topic, std::string *error) {
  pirn_context_params params{};
  params.struct_size = sizeof params;
  params.log = drop_line;
  pirn_context *opened = nullptr;
  if (pirn_context_open(&params, &opened) != PIRN_OK) {
    *error = pirn_last_error();
    return std::nullopt;
  }
  const std::unique_ptr<pirn_context, pirn_status (*)(pirn_context *)> context(opened, pirn_context_close);
  return collect_topic(context.get(), topic);
}

void clear_settings() {
  std::vector<std::string> names;
  for (char **entry = environ; *entry; ++entry)
    if (strncmp(*entry, "PIRN_", 5) == 0) names.emplace_back(*entry, strcspn(*entry, "="));
  for (const std::string &name : names) unsetenv(name.c_str());
}

[[noreturn]] void answer(Topic topic, int out) {
  // Libraries that came with libfabric (psm) have handlers here that hang instead of ending.
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE}) std::signal(number, SIG_DFL);
  nlohmann::json facts;
  try {
    std::string error;
    auto collected = collect_once(topic, &error);
    if (!collected) {  // a setting is refused: say so, and look at the rest without settings
      clear_settings();
      std::string second;
      collected = collect_once(topic, &second);
    }
    facts = collected.value_or(nlohmann::json{{"missing", error}});
    facts["settings_error"] = error;
  } catch (const std::exception &failure) {
    facts = {{"missing", failure.what()}};
  }
  const std::string text = facts.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  for (size_t done = 0; done < text.size();) {
    const ssize_t wrote = write(out, text.data() + done, text.size() - done);
    if (wrote <= 0) break;
    done += static_cast<size_t>(wrote);
  }
  _exit(0);  // libfabric's own exit handlers have nothing to say here
}

// All that comes out of `in` until it is closed. False if that took too long.
bool read_all(int in, std::string *text) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd waiting{in, POLLIN, 0};
    if (left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) <= 0) return false;
    char part[4096];
    const ssize_t got = read(in, part, sizeof part);
    if (got <= 0) return true;
    text->append(part, static_cast<size_t>(got));
  }
}

// Of a document that has them.
void read_devices(const nlohmann::json &json, PirnFacts &facts) {
  for (const auto &k : json.at("device_kinds"))
    facts.kinds.push_back({k.at("name"), k.at("version"), k.at("reason"), k.at("device_count").get<uint32_t>()});
  for (const auto &device : json.at("devices"))
    for (const auto &lack : device.at("lacks"))
      facts.lacks.push_back({device.at("name"), lack.at("feature"), lack.at("reason")});
  for (const auto &l : json.at("device_links"))
    facts.links.push_back({l.at("from"), l.at("to"), l.at("kind"), l.at("peer_access").get<bool>()});
}

// How the child ended that was asked to do `task`; "" if in order.
std::string failure_of(const char *task, int wait_status, bool timed_out) {
  if (timed_out) return fmt::format("{} took longer than {} s", task, patience.count());
  if (WIFSIGNALED(wait_status))
    return fmt::format("{} ended the process: signal {} ({})", task, WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
  if (WEXITSTATUS(wait_status) != 0) return fmt::format("{}: the process ended with {}", task, WEXITSTATUS(wait_status));
  return "";
}

struct Child {
  std::string json, error;  // error: it could not be made
  int status = 0;
  bool timed_out = false;
};

Child run_child(Topic topic) {
  Child result;
  int ends[2];
  if (pipe(ends) != 0) {
    result.error = fmt::format("pipe: {}", strerror(errno));
    return result;
  }
  const pid_t child = fork();
  if (child < 0) {
    result.error = fmt::format("fork: {}", strerror(errno));
    close(ends[0]);
    close(ends[1]);
    return result;
  }
  if (child == 0) {
    close(ends[0]);
    answer(topic, ends[1]);
  }
  close(ends[1]);
  result.timed_out = !read_all(ends[0], &result.json);
  close(ends[0]);
  if (result.timed_out) kill(child, SIGKILL);
  while (waitpid(child, &result.status, 0) < 0 && errno == EINTR) {
  }
  return result;
}

}  // namespace

PirnFacts read_facts(const std::string &text) {
  PirnFacts facts;
  try {
    const auto json = nlohmann::json::parse(text);
    facts.missing = json.value("missing", "");
    facts.settings_error = json.value("settings_error", "");
    if (!facts.missing.empty()) return facts;
    facts.libfabric = json.at("libfabric").get<std::string>();
    for (const auto &p : json.at("providers"))
      facts.providers.push_back({p.at("name"), p.at("fabric"), p.at("reason"), p.at("usable").get<bool>()});
    for (const auto &n : json.at("nics"))
      facts.nics.push_back({n.at("provider"), n.at("name"), n.at("address"), n.at("link_speed_bits_per_s")});
    for (const auto &s : json.at("settings")) facts.settings.push_back(s.at("name"));
    if (json.contains("device_kinds")) read_devices(json, facts);
    else facts.devices_missing = "pirn-info --json told nothing of devices";
  } catch (const nlohmann::json::exception &error) {
    facts = {};
    facts.missing = fmt::format("not what pirn-info --json prints: {}", error.what());
  }
  return facts;
}

PirnFacts facts_of_child(const std::string &json, int wait_status, bool timed_out) {
  PirnFacts facts;
  facts.missing = failure_of("listing libfabric's providers", wait_status, timed_out);
  facts.crashed = !facts.missing.empty();
  return facts.crashed ? facts : read_facts(json);
}

void add_devices_of_child(const std::string &json, int wait_status, bool timed_out, PirnFacts &facts) {
  facts.devices_missing = failure_of("listing devices", wait_status, timed_out);
  facts.devices_crashed = !facts.devices_missing.empty();
  if (facts.devices_crashed) return;
  try {
    const auto document = nlohmann::json::parse(json);
    facts.devices_missing = document.value("missing", "");
    if (facts.devices_missing.empty()) read_devices(document, facts);
  } catch (const nlohmann::json::exception &error) {
    facts.devices_missing = fmt::format("the list of devices cannot be read: {}", error.what());
  }
}

PirnFacts ask_pirn() {
  const Child fabric = run_child(Topic::fabric);
  PirnFacts facts;
  if (fabric.error.empty()) facts = facts_of_child(fabric.json, fabric.status, fabric.timed_out);
  else facts.missing = fabric.error;
  const Child devices = run_child(Topic::devices);
  if (devices.error.empty()) add_devices_of_child(devices.json, devices.status, devices.timed_out, facts);
  else facts.devices_missing = devices.error;
  return facts;
}

}  // namespace doctor
