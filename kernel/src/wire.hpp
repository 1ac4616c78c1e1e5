#pragma once

#include <atomic>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>
#include <xeus/xmessage.hpp>

#include "replays.hpp"
#include "signer.hpp"

namespace firn::kernel {

using Frames = std::vector<std::string>;

// A message's four JSON parts as text, and its binary buffers.
struct Body {
  std::string header, parent, metadata, content;
  std::vector<std::string> buffers;
};

std::size_t byte_count(const Frames& frames);

// JSON text; ill-formed UTF-8 in it is replaced, never an exception.
std::string to_text(const nlohmann::json& value);

// Well-formed UTF-8 as a JSON string. Streams are long: nlohmann's dump takes ten times as long.
std::string json_string(std::string_view text);

// ISO 8601 in UTC, with six decimals.
std::string now();

// Turns messages into frames and back (messaging protocol, "The wire protocol"). Any thread may
// encode; decode() is the I/O thread's.
class Wire {
 public:
  Wire(const std::string& key, const std::string& scheme, std::string session);

  // The header of a new message of ours, as JSON text, with an id of its own.
  std::string new_header(std::string_view type) const;

  Frames encode(Frames prefix, Body body) const;

  // A received message, or nothing when it is malformed (or nested 400 levels deep), unsigned,
  // wrongly signed or came before.
  std::optional<xeus::xmessage> decode(Frames frames);

 private:
  Signer signer_;
  Replays replays_;
  std::string session_;
  std::string user_;  // JSON text, quotes included
  mutable std::atomic<std::uint64_t> count_{0};
};

}  // namespace firn::kernel
