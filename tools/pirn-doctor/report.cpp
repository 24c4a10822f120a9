// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <fmt/core.h>

#include <algorithm>

namespace doctor {
namespace {

Severity worst(const Findings &findings) {
  Severity result = Severity::ok;
  for (const Finding &finding : findings) result = std::max(result, finding.severity);
  return result;
}

int64_t count(const Findings &findings, Severity severity) {
  return std::count_if(findings.begin(), findings.end(), [&](const Finding &f) { return f.severity == severity; });
}

// Names of interfaces and values of variables come from elsewhere: they must not steer a terminal.
std::string printable(std::string text) {
  for (char &c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return text;
}

}  // namespace

std::string to_text(const Findings &findings, Detail detail) {
  const Severity least = detail == Detail::quiet    ? Severity::warning
                         : detail == Detail::normal ? Severity::note
                                                    : Severity::ok;
  std::string text;
  for (const Finding &f : findings) {
    if (f.severity < least) continue;
    text += fmt::format("{:<7}  {}: {}{}{}\n", severity_name(f.severity), f.id, printable(f.subject), f.subject.empty() ? "" : ": ",
                        printable(f.seen));
    if (detail == Detail::quiet) continue;
    if (!f.means.empty()) text += fmt::format("         {}\n", printable(f.means));
    if (!f.remedy.empty()) text += fmt::format("         remedy: {}\n", printable(f.remedy));
  }
  if (detail == Detail::quiet) return text;
  return text + fmt::format("{} problems, {} warnings, {} notes, {} in order\n", count(findings, Severity::problem),
                            count(findings, Severity::warning), count(findings, Severity::note), count(findings, Severity::ok));
}

nlohmann::json to_json(const Findings &findings, const Examined &examined) {
  auto list = nlohmann::json::array();
  for (const Finding &f : findings)
    list.push_back({{"id", f.id}, {"severity", severity_name(f.severity)}, {"subject", f.subject}, {"seen", f.seen},
                    {"means", f.means}, {"remedy", f.remedy}, {"providers", f.providers}});
  return {{"schema", 1},
          {"version", examined.version},
          {"libfabric", examined.libfabric},
          {"root", examined.root},
          {"provider", examined.provider},
          {"worst", severity_name(worst(findings))},
          {"exit", exit_status(findings)},
          {"counts", {{"problem", count(findings, Severity::problem)}, {"warning", count(findings, Severity::warning)},
                      {"note", count(findings, Severity::note)}, {"ok", count(findings, Severity::ok)}}},
          {"findings", list}};
}

int exit_status(const Findings &findings) {
  const Severity severity = worst(findings);
  return severity == Severity::problem ? 2 : severity == Severity::warning ? 1 : 0;
}

}  // namespace doctor
