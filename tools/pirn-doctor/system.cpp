// SPDX-License-Identifier: Apache-2.0
#include "system.h"

#include "words.h"

#include <algorithm>
#include <cerrno>
#include <climits>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace doctor {

System::System(std::string root) : root_(std::move(root)) {
  while (!root_.empty() && root_.back() == '/') root_.pop_back();
  const std::string all = text("/proc/self/environ");
  for (const std::string &entry : split(all, '\0')) {
    const size_t equals = entry.find('=');
    if (equals != std::string::npos) environment_.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
}

std::optional<std::string> System::read(const std::string &path) const {
  const int file = open((root_ + path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return std::nullopt;
  std::string result;
  char part[65536];
  ssize_t got;
  while ((got = ::read(file, part, sizeof part)) > 0) result.append(part, static_cast<size_t>(got));
  close(file);
  if (got < 0) return std::nullopt;  // sysfs refuses the read, not the open: an empty slot of a GID table, for one
  while (!result.empty() && (result.back() == '\n' || result.back() == ' ')) result.pop_back();
  return result;
}

std::string System::text(const std::string &path) const { return read(path).value_or(""); }

std::optional<int64_t> System::number(const std::string &path) const { return parse_number(text(path)); }

std::vector<std::string> System::list(const std::string &folder) const {
  std::vector<std::string> names;
  DIR *const opened = opendir((root_ + folder).c_str());
  if (!opened) return names;
  while (const dirent *entry = readdir(opened)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  closedir(opened);
  std::sort(names.begin(), names.end());
  return names;
}

std::string System::link_name(const std::string &path) const {
  char target[PATH_MAX];
  const ssize_t length = readlink((root_ + path).c_str(), target, sizeof target);
  if (length <= 0) return "";
  const std::string whole(target, static_cast<size_t>(length));
  return whole.substr(whole.rfind('/') + 1);  // npos + 1 is 0
}

bool System::exists(const std::string &path) const {
  struct stat found {};
  return stat((root_ + path).c_str(), &found) == 0;
}

int System::open_error(const std::string &path) const {
  const int file = open((root_ + path).c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return errno;
  close(file);
  return 0;
}

const std::string *System::variable(const std::string &name) const {
  const auto found = environment_.find(name);
  return found == environment_.end() ? nullptr : &found->second;
}

std::optional<uint64_t> System::limit(const std::string &name, size_t column) const {
  for (const std::string &line : split(text("/proc/self/limits"), '\n')) {
    if (line.rfind(name, 0) != 0) continue;
    const auto values = words(line.substr(name.size()));
    if (column >= values.size()) return std::nullopt;
    if (values[column] == "unlimited") return unlimited;
    const auto value = parse_number(values[column]);
    return value && *value >= 0 ? std::optional<uint64_t>(static_cast<uint64_t>(*value)) : std::nullopt;
  }
  return std::nullopt;
}

std::optional<uint64_t> System::soft_limit(const std::string &name) const { return limit(name, 0); }
std::optional<uint64_t> System::hard_limit(const std::string &name) const { return limit(name, 1); }

}  // namespace doctor
