// SPDX-License-Identifier: Apache-2.0
// Two processes share memory: the client writes into the server's memory, tells it, and reads the bytes back.
//
//   example                         starts its own server and plays the client
//   example server                  prints "ADDRESS WINDOW" and serves one client
//   example client ADDRESS WINDOW
//
// Any C++17 compiler, and `pkg-config --cflags --libs pirn`.
#include <pirn/pirn.hpp>

#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using Bytes = std::vector<unsigned char>;
constexpr size_t bytes = 1000003;

unsigned char pattern(size_t i) { return static_cast<unsigned char>((i * 31 + i / 251 + 7) % 256); }

void check_bytes(const Bytes &found, const std::string &whose) {
  for (size_t i = 0; i < bytes; ++i) {
    if (found[i] != pattern(i)) throw std::runtime_error(whose + ": byte " + std::to_string(i) + " is wrong");
  }
  std::cout << whose << ": example ok: " << bytes << " bytes" << std::endl;
}

// A notification arrives when the bytes of its transfer are in place.
void expect_notification(pirn::Endpoint &endpoint, const std::string &expected) {
  const std::optional<pirn::Notification> notification = endpoint.take_notification(30s);
  if (!notification || notification->message != expected) throw std::runtime_error("no notification: " + expected);
}

void serve(pirn::Endpoint &endpoint) {
  Bytes memory(bytes);
  pirn::Region region = endpoint.register_memory(memory.data(), bytes);
  const pirn::Advertisement window = region.advertise(0, bytes, PIRN_ACCESS_READ | PIRN_ACCESS_WRITE);
  endpoint.listen("127.0.0.1:0");
  std::cout << endpoint.address() << ' ' << pirn::blob_to_text(window.blob) << std::endl;

  pirn::Peer client = endpoint.accept();
  expect_notification(endpoint, "written");
  check_bytes(memory, "server");
  expect_notification(endpoint, "done");
}

void play_client(pirn::Endpoint &endpoint, const std::string &address, const std::string &window_text) {
  Bytes memory(bytes), copy(bytes);
  for (size_t i = 0; i < bytes; ++i) memory[i] = pattern(i);
  pirn::Peer server = endpoint.connect(address, 10s);
  pirn::Window window = server.import(window_text);
  pirn::Region source = endpoint.register_memory(memory.data(), bytes);
  pirn::Region target = endpoint.register_memory(copy.data(), bytes);

  pirn::TransferOptions options;
  options.notify = "written";
  source.write(0, window, 0, bytes, options);  // blocking; throws pirn::Error

  pirn::Transfer read = target.start_read(0, window, 0, bytes);  // in the background
  while (!read.wait(1s)) std::cout << "still reading" << std::endl;
  check_bytes(copy, "client");
  server.notify("done");
}

// The server is a new program, not a fork: a fork would share the network devices of its parent.
int play_both(pirn::Endpoint &endpoint, const std::string &program) {
  FILE *server = popen(("exec '" + program + "' server").c_str(), "r");
  if (server == nullptr) throw std::runtime_error("the server did not start");
  std::vector<char> line(1 << 16);
  std::string address, window;
  if (std::fgets(line.data(), static_cast<int>(line.size()), server)) {
    std::istringstream(line.data()) >> address >> window;
  }
  play_client(endpoint, address, window);
  while (std::fgets(line.data(), static_cast<int>(line.size()), server)) std::cout << line.data();
  return pclose(server) == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char **argv) try {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  pirn::Context context;
  pirn::Endpoint endpoint(context);
  if (arguments.size() == 1 && arguments[0] == "server") {
    serve(endpoint);
  } else if (arguments.size() == 3 && arguments[0] == "client") {
    play_client(endpoint, arguments[1], arguments[2]);
  } else {
    return play_both(endpoint, argv[0]);
  }
  return 0;
} catch (const std::exception &error) {
  std::cerr << "example: " << error.what() << '\n';
  return 1;
}
