#include <doctest/doctest.h>

#include <thread>

#include "running_server.hpp"

namespace firn::kernel {
namespace {

using namespace testing;
using nlohmann::json;

constexpr const char* kOk = R"(done(b'{"status": "ok"}'))";
constexpr const char* kFails =
    R"(done(b'{"status": "error", "ename": "E", "evalue": "", "traceback": []}'))";

// A kernel and a front end of it.
struct Session {
  RunningServer kernel;
  Client shell{kernel.clients(), kernel.connection(), 1};
  Client control{kernel.clients(), kernel.connection(), 2};
  Subscriber iopub{kernel.clients(), kernel.connection()};

  std::string run(const std::string& code, const json& more = json::object()) {
    json content{{"code", code}};
    content.update(more);
    return shell.request("execute_request", content);
  }

  // Types and states on iopub up to this request's idle.
  std::vector<std::string> published(const std::string& id) {
    std::vector<std::string> all;
    for (const Message& message : iopub.until_idle(id)) {
      if (message.parent.value("msg_id", "") != id) continue;
      all.push_back(message.type() == "status"
                        ? message.content["execution_state"].get<std::string>()
                        : message.type());
    }
    return all;
  }

  bool answers() {
    run(kOk);
    return shell.receive().content["status"] == "ok";
  }
};

using Types = std::vector<std::string>;

}  // namespace

TEST_CASE("server: a cell has one reply between busy and idle") {
  Session session;
  const std::string id = session.run(kOk, {{"allow_stdin", false}});
  const Message reply = session.shell.receive();
  CHECK(reply.type() == "execute_reply");
  CHECK(reply.parent["msg_id"].get<std::string>() == id);
  CHECK(reply.content["status"] == "ok");
  CHECK(reply.metadata["status"] == "ok");
  CHECK(session.published(id) == Types{"busy", "idle"});
  CHECK(session.kernel.half.value("half.told[-1]") == "execute False True False {}");
  CHECK(session.kernel.terminal.text().empty());
}

TEST_CASE("server: the number and the start of a cell are the Python half's") {
  Session session;
  session.run(R"(done(b'{"status": "ok", "firn": {"started": "then", "execution_count": 42}}'))");
  const Message reply = session.shell.receive();
  CHECK(reply.content["execution_count"] == 42);
  CHECK(reply.metadata["started"] == "then");
  CHECK_FALSE(reply.content.contains("firn"));
}

TEST_CASE("server: a second reply of a cell is not sent") {
  Session session;
  const std::string id = session.run(std::string(kOk) + "\n" + kOk);
  CHECK(session.shell.receive().content["status"] == "ok");
  CHECK(session.published(id) == Types{"busy", "idle"});
  CHECK(session.shell.is_silent());
}

TEST_CASE("server: what a cell has written comes before its idle") {
  Session session;
  session.kernel.half.run("half.written = threading.Event()");
  const std::string id = session.run("half.written.wait(60)\n" + std::string(kOk));
  const Parent parent = std::make_shared<const std::string>(json{{"msg_id", id}}.dump());
  std::string expected;
  for (int i = 0; i < 20'000; ++i) {
    const std::string line = std::to_string(i) + "\n";
    session.kernel.server().publisher().write(0, line, parent);
    expected += line;
  }
  session.kernel.half.run("half.written.set()");
  std::string text;
  for (const Message& message : session.iopub.until_idle(id)) {
    text += message.content.value("text", "");
  }
  CHECK(text == expected);
}

TEST_CASE("server: cells after a failed one are aborted in full and later ones run") {
  Session session;
  session.kernel.half.run("half.go = threading.Event()");
  const std::string failing = session.run("half.go.wait(60)\n" + std::string(kFails));
  const std::string aborted = session.run("raise SystemExit('it has run')");
  const std::string question = session.shell.request("comm_info_request");
  // One that is answered beside the cell: with its reply, those before it have arrived.
  CHECK(eventually([&] { return session.kernel.half.value("len(half.told)") == "1"; }));
  session.kernel.server().inboxes().main()->set_busy(true);
  session.shell.request("kernel_info_request");
  CHECK(session.shell.receive().type() == "kernel_info_reply");
  session.kernel.half.run("half.go.set()");
  CHECK(session.shell.receive().content["ename"] == "E");
  const Message reply = session.shell.receive();
  CHECK(reply.parent["msg_id"].get<std::string>() == aborted);
  CHECK(reply.content["ename"] == "ExecutionAborted");
  CHECK(reply.content["execution_count"] == 7);
  CHECK(reply.content["traceback"] == json::array());
  CHECK(session.shell.receive().parent["msg_id"].get<std::string>() == question);
  CHECK(session.answers());
  CHECK(session.published(failing) == Types{"busy", "idle"});
  CHECK(session.published(aborted) == Types{"busy", "idle"});
}

TEST_CASE("server: with stop_on_error false the next cell runs") {
  Session session;
  session.run(kFails, {{"stop_on_error", false}});
  session.run(kOk);
  CHECK(session.shell.receive().content["status"] == "error");
  CHECK(session.shell.receive().content["status"] == "ok");
}

TEST_CASE("server: control requests and the heartbeat are answered while a cell runs") {
  Session session;
  Client heart(session.kernel.clients(), session.kernel.connection(), 5);
  session.kernel.half.run("half.go = threading.Event()");
  session.run("half.go.wait(60)\n" + std::string(kOk));
  CHECK(eventually([&] { return session.kernel.half.value("len(half.told)") == "1"; }));
  for (int i = 0; i < 20; ++i) {
    const std::string id = session.control.request("usage_request");
    const Message reply = session.control.receive();
    CHECK(reply.type() == "usage_reply");
    CHECK(reply.parent["msg_id"].get<std::string>() == id);
    heart.send({std::to_string(i)});
    CHECK(*heart.receive_frames() == Frames{std::to_string(i)});
  }
  CHECK(session.kernel.half.value("half.threads['usage_request'] != threading.get_ident()") ==
        "True");
  session.kernel.half.run("half.go.set()");
  CHECK(session.shell.receive().content["status"] == "ok");
}

TEST_CASE("server: the control thread is one thread to Python") {
  Session session;
  session.kernel.half.run(
      "import threading\nhalf.local = threading.local()\n"
      "def count(content):\n"
      "    half.local.n = getattr(half.local, 'n', 0) + 1\n"
      "    return b'{\"n\": %d}' % half.local.n\n"
      "half.answers['usage_request'] = count");
  for (int i = 1; i <= 3; ++i) {
    session.control.request("usage_request");
    CHECK(session.control.receive().content["n"] == i);
  }
}

TEST_CASE("server: an interrupt reaches the main thread") {
  Session session;
  session.control.request("interrupt_request");
  CHECK(session.control.receive().content["status"] == "ok");
  CHECK(eventually([&] { return session.kernel.interrupts() == 1; }));
  CHECK(session.answers());
}

TEST_CASE("server: a shutdown is answered and ends the kernel") {
  Session session;
  session.control.request("shutdown_request", {{"restart", true}});
  CHECK(session.control.receive().content == json{{"status", "ok"}, {"restart", true}});
  session.kernel.join();
  CHECK(session.kernel.interrupts() == 1);
}

TEST_CASE("server: a subshell answers while the main one is busy") {
  Session session;
  session.kernel.half.run("half.go = threading.Event()");
  session.run("half.go.wait(60)\n" + std::string(kOk));
  const auto inbox = session.kernel.server().inboxes().open("s");
  std::jthread subshell([&] { session.kernel.serve(inbox); });
  const std::string id =
      session.shell.request("execute_request", {{"code", kOk}}, {{"subshell_id", "s"}});
  CHECK(session.shell.receive().parent["msg_id"].get<std::string>() == id);
  session.kernel.half.run("half.go.set()");
  CHECK(session.shell.receive().content["status"] == "ok");
  session.kernel.server().inboxes().close("s");
  subshell.join();
  session.shell.request("execute_request", {{"code", kOk}}, {{"subshell_id", "s"}});
  CHECK(session.shell.receive().content["ename"] == "NoSuchSubshell");
}

TEST_CASE("server: requests that are wrong or unknown are refused in full") {
  Session session;
  const std::vector<std::pair<std::string, json>> requests{
      {"execute_request", {{"silent", true}}},
      {"complete_request", {{"code", 5}}},
      {"no_such_request", json::object()},
  };
  for (const auto& [type, content] : requests) {
    const std::string id = session.shell.request(type, content);
    const Message reply = session.shell.receive();
    CHECK(reply.content["status"] == "error");
    CHECK(reply.content["ename"] ==
          (type == "no_such_request" ? "UnknownRequest" : "InvalidRequest"));
    CHECK(reply.content.contains("execution_count") == (type == "execute_request"));
    CHECK(session.published(id) == Types{"busy", "idle"});
  }
  session.control.request("execute_request", {{"code", kOk}});
  CHECK(session.control.receive().content["ename"] == "UnknownRequest");
}

TEST_CASE("server: a question to the front end and its answer") {
  Session session;
  // A front end's sockets have one identity: where the cell comes from, there the question goes.
  Client stdin_(session.kernel.clients(), session.kernel.connection(), 3, zmq::socket_type::dealer,
                "front end");
  const xeus::xmessage cell({"front end"}, {{"msg_type", "execute_request"}, {"msg_id", "1"}},
                            json::object(), json::object(), json::object(), {});
  stdin_.request("input_reply", {{"value", "early"}});
  CHECK(eventually([&] { return session.kernel.server().stdin_replies().pop().has_value(); }));
  session.kernel.server().send_input_request(Request(cell), R"({"prompt": "?"})");
  const Message question = stdin_.receive();
  CHECK(question.type() == "input_request");
  CHECK(question.parent["msg_id"] == "1");
  CHECK(question.content == json{{"prompt", "?"}});
  stdin_.request("input_reply", {{"value", "yes"}});
  std::optional<Item> answer;
  CHECK(eventually(
      [&] { return (answer = session.kernel.server().stdin_replies().pop()).has_value(); }));
  CHECK(answer->message.content()["value"] == "yes");
}

TEST_CASE("history: questions reach Python with their fields and the answer goes out") {
  Session session;
  session.kernel.half.run(
      "half.answers['history_request'] = "
      "lambda content: b'{\"status\": \"ok\", \"history\": [[1, 2, \"x\"]]}'");
  const std::vector<json> questions{
      {{"hist_access_type", "tail"}, {"n", 3}, {"raw", true}, {"output", false}},
      {{"hist_access_type", "range"},
       {"session", -1},
       {"start", 2},
       {"stop", 5},
       {"raw", false},
       {"output", true}},
      {{"hist_access_type", "search"},
       {"pattern", "*x*"},
       {"n", 4},
       {"raw", true},
       {"output", false},
       {"unique", true}},
  };
  for (const json& question : questions) {
    session.shell.request("history_request", question);
    CHECK(session.shell.receive().content["history"] == json::parse(R"([[1, 2, "x"]])"));
    CHECK(json::parse(session.kernel.half.value("half.told[-1].partition(' ')[2]")) == question);
  }
}

TEST_CASE("interpreter: questions reach Python with their fields") {
  Session session;
  session.shell.request("complete_request", {{"code", "ab"}, {"cursor_pos", 1}});
  session.shell.request("inspect_request", {{"code", "ab"}, {"detail_level", 1}});
  session.shell.request("is_complete_request", {{"code", "ab"}});
  session.shell.request("kernel_info_request");
  for (const std::string type : {"complete", "inspect", "is_complete", "kernel_info"}) {
    CHECK(session.shell.receive().type() == type + "_reply");
  }
  CHECK(session.kernel.half.value("half.told") ==
        R"(['complete_request {"code":"ab","cursor_pos":1}', )"
        R"('inspect_request {"code":"ab","cursor_pos":-1,"detail_level":1}', )"
        R"('is_complete_request {"code":"ab"}', 'kernel_info_request {}'])");
}

TEST_CASE("server: a comm message reaches Python with its buffers") {
  Session session;
  auto frames = session.shell.frames("comm_msg", {{"comm_id", "c"}, {"data", 1}});
  frames.push_back("bytes");
  session.shell.send(frames);
  CHECK(session.published(json::parse(frames[2])["msg_id"]) == Types{"busy", "idle"});
  CHECK(session.kernel.half.value("half.told[-1]") ==
        R"(comm_msg {"comm_id":"c","data":1} [b'bytes'])");
}

}  // namespace firn::kernel
