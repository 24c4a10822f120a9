// SPDX-License-Identifier: Apache-2.0
// The node as files: sysfs, procfs, devices and packages below one root, "/" or a copy of these parts of another
// machine. Environment and limits are files too (proc/self/environ, proc/self/limits). Nothing is cached but the
// environment; nothing is written; a file that cannot be read counts as absent. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace doctor {

class System {
 public:
  static constexpr uint64_t unlimited = UINT64_MAX;

  explicit System(std::string root);

  const std::string &root() const { return root_; }

  // Paths are absolute on the node: "/sys/class/net".
  std::optional<std::string> read(const std::string &path) const;  // without white space at the end
  std::string text(const std::string &path) const;                 // "" if it cannot be read
  std::optional<int64_t> number(const std::string &path) const;    // nullopt also if it is none
  std::vector<std::string> list(const std::string &folder) const;  // names, sorted; without "." and ".."
  std::string link_name(const std::string &path) const;            // last part of what a symbolic link points to, or ""
  bool exists(const std::string &path) const;
  int open_error(const std::string &path) const;  // errno of opening it to read and write; 0 if that works

  const std::map<std::string, std::string> &environment() const { return environment_; }
  const std::string *variable(const std::string &name) const;  // nullptr if not set

  std::optional<uint64_t> soft_limit(const std::string &name) const;  // name as in proc/self/limits: "Max locked memory"
  std::optional<uint64_t> hard_limit(const std::string &name) const;

 private:
  std::optional<uint64_t> limit(const std::string &name, size_t column) const;

  std::string root_;  // without '/' at the end
  std::map<std::string, std::string> environment_;
};

}  // namespace doctor
