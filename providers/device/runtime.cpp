// SPDX-License-Identifier: Apache-2.0
#include "runtime.h"

#include <string>

#include <dlfcn.h>

namespace pirn::device {
namespace {

std::string reason() {
  const char *text = dlerror();
  return text != nullptr ? text : "no reason given";
}

Result<void *> open_first(std::span<const char *const> names, bool only_if_loaded) {
  std::string tried;
  for (const char *name : names) {
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL | (only_if_loaded ? RTLD_NOLOAD : 0));
    if (library != nullptr) return library;
    tried += (tried.empty() ? "" : "; ") + (only_if_loaded ? std::string(name) : reason());
  }
  if (only_if_loaded) return fail(PIRN_ERR_UNAVAILABLE, "nothing in this process has loaded %s", tried.c_str());
  return fail(PIRN_ERR_UNAVAILABLE, "%s", tried.c_str());
}

}  // namespace

Status open_runtime(std::span<const char *const> names, bool only_if_loaded, std::span<Symbol *const> symbols) {
  Result<void *> library = open_first(names, only_if_loaded);
  if (!library.is_ok()) return library.error();
  for (Symbol *symbol : symbols) {
    symbol->address = dlsym(library.value(), symbol->name);
    if (symbol->address != nullptr || !symbol->required) continue;
    const Status missing = fail(PIRN_ERR_UNAVAILABLE, "%s is too old for pirn: it has no %s", names[0], symbol->name);
    dlclose(library.value());
    return missing;
  }
  return Status::ok();
}

}  // namespace pirn::device
