// SPDX-License-Identifier: Apache-2.0
#include "verifier.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

using nlohmann::json;

namespace {

constexpr size_t items_per_request = 800;  // keeps a request below PIRN_NOTIFICATION_MAX

[[noreturn]] void report_wrong(const char *where, uint64_t offset, unsigned expected, unsigned found) {
  throw Failure(fmt::format("WRONG BYTE {} at window offset {}: expected 0x{:02x}, found 0x{:02x}", where, offset,
                            expected, found));
}

void demand_right(const json &reply, const char *where) {
  const json &wrong = reply.at("wrong");
  if (!wrong.is_null())
    report_wrong(where, wrong.at("offset").get<uint64_t>(), wrong.at("expected").get<unsigned>(),
                 wrong.at("found").get<unsigned>());
}

void demand_right(const std::optional<Wrong> &wrong, const char *where) {
  if (wrong) report_wrong(where, wrong->position, wrong->expected, wrong->found);
}

std::vector<Move> moves_of(const Workload &workload, const std::vector<uint64_t> &slots) {
  std::vector<Move> moves;
  for (const uint64_t slot : slots)
    moves.insert(moves.end(), workload.moves(slot).begin(), workload.moves(slot).end());
  return moves;
}

std::vector<Range> local_ranges(const std::vector<Move> &moves) {
  std::vector<Range> ranges;
  for (const Move &move : moves) ranges.push_back({move.local, move.length});
  return ranges;
}

}  // namespace

void Verifier::ask(const char *what, const std::vector<Move> &moves, uint64_t seed) {
  for (size_t first = 0; first < moves.size(); first += items_per_request) {
    json items = json::array();
    for (size_t i = first; i < std::min(moves.size(), first + items_per_request); ++i)
      items.push_back({moves[i].remote, moves[i].length, seed});
    const json reply = session_.channel().call({{"do", what}, {"items", std::move(items)}});
    if (reply.contains("wrong")) demand_right(reply, "at the target");
  }
}

void Verifier::prepare(const Workload &workload, const std::vector<uint64_t> &slots, uint64_t seed) {
  const std::vector<Move> moves = moves_of(workload, slots);
  if (!workload.writes()) return ask("fill", moves, seed);
  for (const Move &move : moves)
    fill_pattern(session_.memory().data() + move.local, move.length, seed, move.remote);
  session_.memory().push(local_ranges(moves));
}

void Verifier::check_moved(const Workload &workload, const std::vector<uint64_t> &slots, uint64_t seed) {
  const std::vector<Move> moves = moves_of(workload, slots);
  // A read's source is checked as well: reading must not change it.
  ask("check", moves, seed);
  const std::vector<Range> ranges = local_ranges(moves);
  session_.memory().pull(ranges);
  for (const Move &move : moves) {
    unsigned char *const bytes = session_.memory().data() + move.local;
    demand_right(check_pattern(bytes, move.length, seed, move.remote), "in local memory");
    std::memset(bytes, background, move.length);
  }
  session_.memory().push(ranges);
}

void Verifier::check_untouched(uint64_t bytes) {
  demand_right(session_.channel().call({{"do", "clean"}, {"bytes", bytes}}), "outside every transfer, at the target,");
  session_.memory().pull({{0, bytes}});
  demand_right(check_background(session_.memory().data(), bytes, 0),
               "outside every transfer, in local memory,");
}
