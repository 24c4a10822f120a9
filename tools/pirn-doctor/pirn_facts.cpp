// SPDX-License-Identifier: Apache-2.0
#include "pirn_facts.h"

#include "../pirn-info/collect.h"

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

std::optional<nlohmann::json> collect_once(std::string *error) {
  pirn_context_params params{};
  params.struct_size = sizeof params;
  params.log = drop_line;
  pirn_context *opened = nullptr;
  if (pirn_context_open(&params, &opened) != PIRN_OK) {
    *error = pirn_last_error();
    return std::nullopt;
  }
  const std::unique_ptr<pirn_context, pirn_status (*)(pirn_context *)> context(opened, pirn_context_close);
  return collect(context.get());
}

void clear_settings() {
  std::vector<std::string> names;
  for (char **entry = environ; *entry; ++entry)
    if (strncmp(*entry, "PIRN_", 5) == 0) names.emplace_back(*entry, strcspn(*entry, "="));
  for (const std::string &name : names) unsetenv(name.c_str());
}

[[noreturn]] void answer(int out) {
  // Libraries that came with libfabric (psm) have handlers here that hang instead of ending.
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE}) std::signal(number, SIG_DFL);
  nlohmann::json facts;
  try {
    std::string error;
    auto collected = collect_once(&error);
    if (!collected) {  // a setting is refused: say so, and look at the rest without settings
      clear_settings();
      std::string second;
      collected = collect_once(&second);
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
  } catch (const nlohmann::json::exception &error) {
    facts = {};
    facts.missing = fmt::format("not what pirn-info --json prints: {}", error.what());
  }
  return facts;
}

PirnFacts facts_of_child(const std::string &json, int wait_status, bool timed_out) {
  PirnFacts facts;
  if (timed_out) {
    facts.missing = fmt::format("libfabric did not list its providers within {} s", patience.count());
  } else if (WIFSIGNALED(wait_status)) {
    facts.missing = fmt::format("libfabric ended the process that listed its providers: signal {} ({})",
                                WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
  } else if (WEXITSTATUS(wait_status) != 0) {
    facts.missing = fmt::format("the process that listed libfabric's providers ended with {}", WEXITSTATUS(wait_status));
  } else {
    return read_facts(json);
  }
  facts.crashed = true;
  return facts;
}

PirnFacts ask_pirn() {
  PirnFacts failed;
  int ends[2];
  if (pipe(ends) != 0) {
    failed.missing = fmt::format("pipe: {}", strerror(errno));
    return failed;
  }
  const pid_t child = fork();
  if (child < 0) {
    failed.missing = fmt::format("fork: {}", strerror(errno));
    close(ends[0]);
    close(ends[1]);
    return failed;
  }
  if (child == 0) {
    close(ends[0]);
    answer(ends[1]);
  }
  close(ends[1]);
  std::string json;
  const bool complete = read_all(ends[0], &json);
  close(ends[0]);
  if (!complete) kill(child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return facts_of_child(json, status, !complete);
}

}  // namespace doctor
