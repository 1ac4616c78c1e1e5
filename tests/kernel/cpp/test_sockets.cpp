#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <csignal>
#include <fstream>

#include "heartbeat.hpp"
#include "sockets.hpp"
#include "support.hpp"

namespace firn::kernel {
namespace {

using namespace testing;
using nlohmann::json;

std::string written(const TemporaryFolder& folder, const std::string& text) {
  const std::string path = folder.path / "connection.json";
  std::ofstream(path) << text;
  return path;
}

json usual() {
  return {{"transport", "tcp"},
          {"ip", "127.0.0.1"},
          {"key", "k"},
          {"shell_port", 1},
          {"control_port", 2},
          {"stdin_port", 3},
          {"iopub_port", 4},
          {"hb_port", 5},
          {"anything", "else"},
          {"kernel_name", "f"},
          {"signature_scheme", "hmac-sha256"}};
}

std::array<std::string, 2> curve_keys() {
  std::array<char, 41> shown, kept;
  REQUIRE(zmq_curve_keypair(shown.data(), kept.data()) == 0);
  return {shown.data(), kept.data()};
}

}  // namespace

TEST_CASE("connection: a file is read") {
  const TemporaryFolder folder;
  const Connection connection = read_connection_file(written(folder, usual().dump()));
  CHECK(connection.address(connection.heartbeat_port) == "tcp://127.0.0.1:5");
  CHECK(connection.key == "k");
  CHECK_FALSE(connection.encrypted());
  json ipc = usual();
  ipc["transport"] = "ipc";
  ipc["ip"] = "kernel-1";
  CHECK(read_connection_file(written(folder, ipc.dump())).address(1) == "ipc://kernel-1-1");
}

TEST_CASE("connection: a file that cannot be used is named") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(read_connection_file("/nowhere/connection.json"),
                       doctest::Contains("/nowhere/connection.json"), std::runtime_error);
  json without = usual();
  without.erase("iopub_port");
  json wrong = usual();
  wrong["shell_port"] = "many";
  for (const std::string& text :
       {std::string("{"), std::string("[]"), std::string(), without.dump(), wrong.dump()}) {
    CHECK_THROWS_WITH_AS(read_connection_file(written(folder, text)),
                         doctest::Contains("connection.json"), std::runtime_error);
  }
}

TEST_CASE("connection: keys that are no pair are refused") {
  const TemporaryFolder folder;
  const auto [shown, kept] = curve_keys();
  json file = usual();
  file["curve_publickey"] = shown;
  file["curve_secretkey"] = kept;
  CHECK(read_connection_file(written(folder, file.dump())).encrypted());
  for (const std::string& other : {curve_keys()[1], std::string("short"), std::string()}) {
    file["curve_secretkey"] = other;
    CHECK_THROWS_WITH_AS(read_connection_file(written(folder, file.dump())),
                         doctest::Contains("CurveZMQ"), std::runtime_error);
  }
}

TEST_CASE("sockets: an address that is taken is named") {
  zmq::context_t context;
  const TemporaryFolder folder;
  Connection connection = Address().connection;
  connection.transport = "tcp";
  connection.ip = "127.0.0.1";
  zmq::socket_t other(context, zmq::socket_type::router);
  other.bind("tcp://127.0.0.1:*");
  const std::string endpoint = other.get(zmq::sockopt::last_endpoint);
  const int port = std::stoi(endpoint.substr(endpoint.rfind(':') + 1));
  CHECK_THROWS_WITH_AS(Router(context, connection, port), doctest::Contains(endpoint.c_str()),
                       std::runtime_error);
}

TEST_CASE("sockets: those in the file system are their owner's alone") {
  zmq::context_t context;
  const Address address;
  const Router router(context, address.connection, 1);
  struct stat facts;
  REQUIRE(::stat((address.connection.ip + "-1").c_str(), &facts) == 0);
  CHECK((facts.st_mode & (S_IRWXG | S_IRWXO)) == 0);
  const mode_t mask = ::umask(0);
  ::umask(mask);
  CHECK(mask != (S_IRWXG | S_IRWXO));  // put back
}

TEST_CASE("sockets: a router answers whom it has heard and nobody else") {
  zmq::context_t context;
  const Address address;
  Router router(context, address.connection, 1);
  CHECK_FALSE(router.receive());
  Client one(context, address.connection, 1), other(context, address.connection, 1);
  one.send({"question", std::string(200'000, 'q')});
  std::optional<Frames> heard;
  REQUIRE(eventually([&] { return (heard = router.receive()).has_value(); }));
  REQUIRE(heard->size() == 3);
  CHECK((*heard)[2].size() == 200'000);
  router.send({(*heard)[0], "answer", std::string(200'000, 'a')});
  router.send({"a client that is gone", "answer"});
  const auto answer = one.receive_frames();
  REQUIRE(answer);
  CHECK(*answer == Frames{"answer", std::string(200'000, 'a')});
  CHECK(other.is_silent());
}

TEST_CASE("sockets: a client that reconnects keeps its identity") {
  zmq::context_t context;
  const Address address;
  Router router(context, address.connection, 1);
  std::optional<Frames> heard;
  Client first(context, address.connection, 1);
  zmq::socket_t again(context, zmq::socket_type::dealer);
  again.set(zmq::sockopt::routing_id, "me");
  again.set(zmq::sockopt::linger, 0);
  zmq::socket_t before(context, zmq::socket_type::dealer);
  before.set(zmq::sockopt::routing_id, "me");
  before.set(zmq::sockopt::linger, 0);
  before.connect(address.connection.address(1));
  before.send(zmq::str_buffer("1"), zmq::send_flags::none);
  REQUIRE(eventually([&] { return (heard = router.receive()).has_value(); }));
  again.connect(address.connection.address(1));
  again.send(zmq::str_buffer("2"), zmq::send_flags::none);
  REQUIRE(eventually([&] { return (heard = router.receive()).has_value(); }));
  CHECK(*heard == Frames{"me", "2"});
  router.send({"me", "to the new one"});
  zmq::message_t answer;
  again.set(zmq::sockopt::rcvtimeo, 60'000);
  REQUIRE(again.recv(answer));
  CHECK(answer.to_string() == "to the new one");
}

TEST_CASE("sockets: a subscriber is told and gets what it reads late") {
  zmq::context_t context;
  const Address address;
  Broadcast iopub(context, address.connection, 4);
  Client late(context, address.connection, 4, zmq::socket_type::sub);
  std::optional<std::string> topic;
  REQUIRE(eventually([&] { return (topic = iopub.new_subscription()).has_value(); }));
  CHECK(*topic == "");
  CHECK_FALSE(iopub.new_subscription());
  constexpr int kMessages = 5000;  // ZeroMQ's own bound is 1000
  for (int i = 0; i < kMessages; ++i) iopub.send({"topic", std::to_string(i)});
  for (int i = 0; i < kMessages; ++i) {
    const auto frames = late.receive_frames();
    REQUIRE(frames);
    REQUIRE((*frames)[1] == std::to_string(i));
  }
}

TEST_CASE("sockets: nothing overtakes the news of a subscriber") {
  zmq::context_t context;
  const Address address;
  Broadcast iopub(context, address.connection, 4);
  Client first(context, address.connection, 4, zmq::socket_type::sub);
  REQUIRE(eventually([&] { return iopub.new_subscription().has_value(); }));
  Client second(context, address.connection, 4, zmq::socket_type::sub);
  // The second is there as soon as ZeroMQ says so, but nobody has read its subscription yet.
  std::optional<std::string> topic;
  REQUIRE(eventually([&] {
    iopub.send({"before"});
    return (topic = iopub.new_subscription()).has_value();
  }));
  iopub.send({"after"});
  CHECK(*second.receive_frames() == Frames{"after"});
  Frames last;
  while (last != Frames{"after"}) last = first.receive_frames().value();
  second.socket().set(zmq::sockopt::unsubscribe, "");
  Client third(context, address.connection, 4, zmq::socket_type::sub);
  REQUIRE(eventually([&] { return iopub.new_subscription().has_value(); }));
  iopub.send({"to the third"});
  CHECK(*third.receive_frames() == Frames{"to the third"});
}

TEST_CASE("sockets: a message that memory does not suffice for leaves no half of it") {
  zmq::context_t context;
  const Address address;
  Broadcast iopub(context, address.connection, 4);
  Client subscriber(context, address.connection, 4, zmq::socket_type::sub);
  REQUIRE(eventually([&] { return iopub.new_subscription().has_value(); }));
  Frames many(100'000, "x");
  {
    const ShortOfMemory memory(1'000'000);  // the table of its parts
    CHECK_THROWS_AS(iopub.send(std::move(many)), std::bad_alloc);
  }
  iopub.send({"topic", "whole"});
  CHECK(*subscriber.receive_frames() == Frames{"topic", "whole"});
}

TEST_CASE("sockets: with keys only who has the kernel's is heard") {
  zmq::context_t context;
  Address address;
  const auto [shown, kept] = curve_keys();
  address.connection.curve_public_key = shown;
  address.connection.curve_secret_key = kept;
  Router router(context, address.connection, 1);
  Client in_the_clear(context, address.connection, 1);
  in_the_clear.send({"in the clear"});
  zmq::socket_t right(context, zmq::socket_type::dealer);
  const auto [own_shown, own_kept] = curve_keys();
  right.set(zmq::sockopt::curve_serverkey, shown);
  right.set(zmq::sockopt::curve_publickey, own_shown);
  right.set(zmq::sockopt::curve_secretkey, own_kept);
  right.set(zmq::sockopt::linger, 0);
  right.connect(address.connection.address(1));
  right.send(zmq::str_buffer("encrypted"), zmq::send_flags::none);
  std::optional<Frames> heard;
  REQUIRE(eventually([&] { return (heard = router.receive()).has_value(); }));
  CHECK(heard->back() == "encrypted");
  CHECK_FALSE(router.receive());
}

TEST_CASE("heartbeat: echoes every client's every frame and ends when it is told") {
  zmq::context_t context;
  const Address address;
  const RecordedTerminal terminal;
  {
    Heartbeat heartbeat(context, address.connection, terminal.terminal());
    heartbeat.start();
    Client one(context, address.connection, 5), other(context, address.connection, 5);
    for (int i = 0; i < 100; ++i) {
      one.send({"a", std::to_string(i)});
      other.send({"b"});
      CHECK(*one.receive_frames() == Frames{"a", std::to_string(i)});
      CHECK(*other.receive_frames() == Frames{"b"});
    }
    Client request(context, address.connection, 5, zmq::socket_type::req);  // as clients do
    request.send({"ping"});
    CHECK(*request.receive_frames() == Frames{"ping"});
  }
  CHECK(terminal.text().empty());
}

TEST_CASE("heartbeat: goes on after an exception in its thread") {
  zmq::context_t context;
  const Address address;
  const RecordedTerminal terminal;
  // ZeroMQ throws when a signal breaks off its waiting. In a kernel this thread has all blocked;
  // here it is the only one that has not.
  struct sigaction handler{};
  handler.sa_handler = [](int) {};
  ::sigaction(SIGUSR1, &handler, nullptr);
  Heartbeat heartbeat(context, address.connection, terminal.terminal());
  heartbeat.start();
  sigset_t ours;
  ::sigemptyset(&ours);
  ::sigaddset(&ours, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &ours, nullptr);
  Client client(context, address.connection, 5);
  REQUIRE(eventually([&] {
    ::kill(::getpid(), SIGUSR1);
    return !terminal.text().empty();
  }));
  CHECK(terminal.text().starts_with("firn_kernel: the heartbeat's thread could not echo: "));
  for (int i = 0; i < 3; ++i) {
    client.send({"still there"});
    CHECK(*client.receive_frames() == Frames{"still there"});
  }
}

TEST_CASE("heartbeat: one that was never started ends too") {
  zmq::context_t context;
  const Address address;
  const RecordedTerminal terminal;
  const Heartbeat heartbeat(context, address.connection, terminal.terminal());
}

TEST_CASE("terminal: a line says who could not do what and why") {
  const RecordedTerminal recorded;
  recorded.terminal().tell("the I/O thread", "send a message", "no memory");
  recorded.terminal().tell("a cell runner", "answer ", "no idea", "x_request");
  CHECK(recorded.text() ==
        "firn_kernel: the I/O thread could not send a message: no memory\n"
        "firn_kernel: a cell runner could not answer x_request: no idea\n");
  Terminal(-1).tell("nobody", "listen", "it is closed");
}

}  // namespace firn::kernel
