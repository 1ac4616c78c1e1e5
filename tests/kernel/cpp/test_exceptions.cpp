// What goes wrong in C++ while a request is answered: it is told on the terminal, the request has
// its error reply and its idle, and the kernel goes on.

#include <doctest/doctest.h>

#include "running_server.hpp"

namespace firn::kernel {
namespace {

using namespace testing;
using nlohmann::json;

struct Failing {
  RunningServer kernel;
  Client shell{kernel.clients(), kernel.connection(), 1};
  Client control{kernel.clients(), kernel.connection(), 2};
  Subscriber iopub{kernel.clients(), kernel.connection()};

  // From now on this is what the Python half answers to such requests: text that is no JSON, or an
  // object that is no text.
  void answer(const std::string& type, const std::string& with) {
    kernel.half.run("half.answers['" + type + "'] = lambda content: " + with);
  }

  // Sends the request; its error reply and idle have to come, once each.
  Message refused(Client& client, const std::string& type, const json& content = json::object()) {
    const std::string id = client.request(type, content);
    const Message reply = client.receive();
    CHECK(reply.parent["msg_id"].get<std::string>() == id);
    CHECK(reply.content["status"] == "error");
    CHECK(reply.content["traceback"] == json::array());
    int busy = 0, idle = 0;
    for (const Message& message : iopub.until_idle(id)) {
      if (message.type() != "status" || message.parent["msg_id"] != id) continue;
      busy += message.content["execution_state"] == "busy";
      idle += message.content["execution_state"] == "idle";
    }
    CHECK(busy == 1);
    CHECK(idle == 1);
    return reply;
  }

  void check_goes_on() {
    const std::string id =
        shell.request("execute_request", {{"code", R"(done(b'{"status": "ok"}'))"}});
    const Message reply = shell.receive();
    CHECK(reply.parent["msg_id"].get<std::string>() == id);  // no second reply to another
    CHECK(reply.content["status"] == "ok");
    iopub.until_idle(id);
    const std::string other = control.request("list_subshell_request");
    const Message answer = control.receive();
    CHECK(answer.parent["msg_id"].get<std::string>() == other);
    CHECK(answer.content["status"] == "ok");
  }
};

}  // namespace

TEST_CASE("exceptions: an answer that is none is an error reply on the shell channel") {
  Failing session;
  for (const std::string type : {"complete_request", "is_complete_request", "inspect_request",
                                 "history_request", "comm_info_request", "kernel_info_request"}) {
    for (const std::string with : {"b'{'", "b'[]'", "b'\"text\"'", "5", "None", "1 / 0"}) {
      session.answer(type, with);
      session.refused(session.shell, type, {{"code", "x"}});
    }
  }
  CHECK(session.kernel.terminal.text().find(
            "firn_kernel: the Python half could not answer complete_request: ") !=
        std::string::npos);
  session.check_goes_on();
}

TEST_CASE("exceptions: and on the control channel") {
  Failing session;
  for (const std::string type :
       {"usage_request", "create_subshell_request", "kernel_info_request", "debug_request"}) {
    for (const std::string with : {"b'{'", "b'[]'", "b'\"text\"'", "5", "1 / 0"}) {
      session.answer(type, with);
      session.refused(session.control, type);
    }
  }
  CHECK(session.kernel.terminal.text().find(
            "firn_kernel: the Python half could not answer usage_request: ") != std::string::npos);
  session.check_goes_on();
}

TEST_CASE("exceptions: a cell's reply that is none") {
  Failing session;
  for (const std::string reply : {"b'{'", "b'[]'", "5", "b'{\"status\": 5}'"}) {
    const Message message =
        session.refused(session.shell, "execute_request", {{"code", "done(" + reply + ")"}});
    CHECK(message.content["execution_count"].is_number_integer());
  }
  session.check_goes_on();
}

TEST_CASE("exceptions: a cell that Python does not take") {
  Failing session;
  const Message reply = session.refused(session.shell, "execute_request", {{"code", "1 / 0"}});
  CHECK(reply.content["evalue"].get<std::string>().find("division by zero") != std::string::npos);
  session.check_goes_on();
}

TEST_CASE("exceptions: a count of cells that is none") {
  Failing session;
  session.kernel.half.run("half.execution_count = 'many'");
  session.refused(session.shell, "execute_request", {{"silent", true}});
  session.kernel.half.run("del type(half).execution_count, half.execution_count");
  session.refused(session.shell, "execute_request", {{"silent", true}});
  session.check_goes_on();
}

TEST_CASE("exceptions: memory that does not suffice for a reply") {
  Failing session;
  session.kernel.half.run(
      "half.long = b'{\"status\": \"ok\", \"x\": \"%s\"}' % (b'x' * 3_000_000)");
  session.answer("usage_request", "half.long");
  session.answer("comm_info_request", "half.long");
  session.answer("complete_request", "half.long");
  {
    const ShortOfMemory memory(1'000'000);
    session.refused(session.control, "usage_request");
    session.refused(session.shell, "comm_info_request");
    session.refused(session.shell, "complete_request", {{"code", "x"}});
    session.refused(session.shell, "execute_request", {{"code", "done(half.long)"}});
  }
  session.control.request("usage_request");
  CHECK(session.control.receive().content["x"].get<std::string>().size() == 3'000'000);
  CHECK_FALSE(session.kernel.terminal.text().empty());
  session.check_goes_on();
}

TEST_CASE("exceptions: a comm handler that fails leaves its idle") {
  Failing session;
  session.answer("comm_msg", "1 / 0");
  const std::string id = session.shell.request("comm_msg", {{"comm_id", "c"}});
  CHECK(session.iopub.until_idle(id).size() >= 2);
  session.check_goes_on();
}

}  // namespace firn::kernel
