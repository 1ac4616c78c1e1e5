#include "support.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <thread>
#include <zmq_addon.hpp>

namespace {

std::atomic<std::size_t> too_large{SIZE_MAX};  // bytes

void* allocate(std::size_t bytes) {
  if (bytes >= too_large) throw std::bad_alloc();
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes); }
void* operator new[](std::size_t bytes) { return allocate(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return bytes >= too_large ? nullptr : std::malloc(bytes == 0 ? 1 : bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t& nothrow) noexcept {
  return operator new(bytes, nothrow);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace firn::kernel::testing {

using nlohmann::json;

ShortOfMemory::ShortOfMemory(std::size_t bytes) { too_large = bytes; }
ShortOfMemory::~ShortOfMemory() { too_large = SIZE_MAX; }

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "firn-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder for the test");
  path = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

Client::Client(zmq::context_t& context, const Connection& connection, int port,
               zmq::socket_type type, const std::string& identity)
    : signer_(connection.key, connection.signature_scheme), socket_(context, type) {
  socket_.set(zmq::sockopt::linger, 0);
  socket_.set(zmq::sockopt::rcvhwm, 0);
  if (!identity.empty()) socket_.set(zmq::sockopt::routing_id, identity);
  if (type == zmq::socket_type::sub) socket_.set(zmq::sockopt::subscribe, "");
  socket_.connect(connection.address(port));
}

std::vector<std::string> Client::frames(const std::string& type, const json& content,
                                        const json& more_of_header) {
  static std::atomic<int> count{0};
  json header{{"msg_id", "request-" + std::to_string(count++)},
              {"msg_type", type},
              {"session", "a session"},
              {"username", "somebody"},
              {"date", "2026-01-01T00:00:00.000000Z"},
              {"version", "5.5"}};
  header.update(more_of_header);
  const std::array<std::string, 4> parts{header.dump(), "{}", "{}", content.dump()};
  const std::array<std::string_view, 4> views{parts[0], parts[1], parts[2], parts[3]};
  return {"<IDS|MSG>", signer_.sign(views), parts[0], parts[1], parts[2], parts[3]};
}

void Client::send(const std::vector<std::string>& frames) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const bool last = i + 1 == frames.size();
    socket_.send(zmq::buffer(frames[i]), last ? zmq::send_flags::none : zmq::send_flags::sndmore);
  }
}

std::string Client::request(const std::string& type, const json& content,
                            const json& more_of_header) {
  const auto message = frames(type, content, more_of_header);
  send(message);
  return json::parse(message[2]).at("msg_id");
}

std::optional<std::vector<std::string>> Client::receive_frames(std::chrono::milliseconds patience) {
  socket_.set(zmq::sockopt::rcvtimeo, static_cast<int>(patience.count()));
  std::vector<zmq::message_t> parts;
  if (!zmq::recv_multipart(socket_, std::back_inserter(parts))) return std::nullopt;
  std::vector<std::string> frames;
  for (const auto& part : parts) frames.push_back(part.to_string());
  return frames;
}

Message Client::receive() {
  auto frames = receive_frames();
  if (!frames) throw std::runtime_error("nothing came");
  auto at = frames->begin();
  Message message;
  if (*at != "<IDS|MSG>") message.topic = *at++;
  if (frames->end() - at < 6 || *at != "<IDS|MSG>") throw std::runtime_error("malformed");
  const std::array<std::string_view, 4> parts{at[2], at[3], at[4], at[5]};
  if (at[1] != signer_.sign(parts)) throw std::runtime_error("wrongly signed: " + at[2]);
  message.header = json::parse(at[2]);
  message.parent = json::parse(at[3]);
  message.metadata = json::parse(at[4]);
  message.content = json::parse(at[5]);
  message.buffers.assign(at + 6, frames->end());
  return message;
}

Subscriber::Subscriber(zmq::context_t& context, const Connection& connection)
    : Client(context, connection, connection.iopub_port, zmq::socket_type::sub) {
  while (receive().type() != "iopub_welcome") {
  }
}

std::vector<Message> Subscriber::until_idle(const std::string& id) {
  std::vector<Message> messages;
  while (true) {
    messages.push_back(receive());
    const Message& last = messages.back();
    if (last.type() == "status" && last.parent.value("msg_id", "") == id &&
        last.content.at("execution_state") == "idle") {
      return messages;
    }
  }
}

RecordedTerminal::RecordedTerminal()
    : fd_(::memfd_create("terminal", MFD_CLOEXEC)), terminal_(fd_) {}

RecordedTerminal::~RecordedTerminal() { ::close(fd_); }

std::string RecordedTerminal::text() const {
  std::string text(1 << 16, '\0');
  const ssize_t got = ::pread(fd_, text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace firn::kernel::testing
