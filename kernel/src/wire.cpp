#include "wire.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <numeric>
#include <xeus/xkernel.hpp>

#include "utf8.hpp"

namespace firn::kernel {
namespace {

constexpr std::string_view kDelimiter = "<IDS|MSG>";

// Deeper than anything that a front end sends. The JSON library copies and prints by recursion: a
// few ten thousand levels end the process.
constexpr int kDeepest = 400;

bool is_too_deep(std::string_view json) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kDeepest) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

// A JSON object, or a discarded value.
nlohmann::json parse_object(std::string_view text) {
  if (is_too_deep(text)) return nlohmann::json(nlohmann::json::value_t::discarded);
  auto value = nlohmann::json::parse(text, nullptr, false);
  if (value.is_discarded()) {
    value = nlohmann::json::parse(without_lone_surrogates(valid_utf8(text)), nullptr, false);
  }
  return value.is_object() ? value : nlohmann::json(nlohmann::json::value_t::discarded);
}

bool is_text(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string();
}

}  // namespace

std::size_t byte_count(const Frames& frames) {
  return std::accumulate(frames.begin(), frames.end(), std::size_t{0},
                         [](std::size_t sum, const std::string& f) { return sum + f.size(); });
}

std::string to_text(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_string(std::string_view text) {
  // Eight bytes at a time: the lowest bits of a byte that is less than n, or that is c.
  constexpr std::uint64_t kOnes = 0x0101010101010101, kHighs = 0x8080808080808080;
  const auto below_space = [](std::uint64_t x) { return (x - kOnes * ' ') & ~x & kHighs; };
  const auto is = [](std::uint64_t x, unsigned char c) {
    x ^= kOnes * c;
    return (x - kOnes) & ~x & kHighs;
  };
  const auto is_plain = [](char c) {
    return static_cast<unsigned char>(c) >= ' ' && c != '"' && c != '\\';
  };
  std::string json;
  json.reserve(text.size() + text.size() / 32 + 16);
  json.push_back('"');
  std::size_t done = 0, at = 0;
  while (at < text.size()) {
    if (at + 8 <= text.size()) {
      std::uint64_t eight;
      std::memcpy(&eight, text.data() + at, sizeof eight);
      if ((below_space(eight) | is(eight, '"') | is(eight, '\\')) == 0) {
        at += 8;
        continue;
      }
    }
    if (is_plain(text[at])) {
      ++at;
      continue;
    }
    json.append(text, done, at - done);
    switch (text[at]) {
      case '\n':
        json.append("\\n");
        break;
      case '"':
        json.append("\\\"");
        break;
      case '\\':
        json.append("\\\\");
        break;
      default: {
        std::array<char, 8> escape;
        std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(text[at]));
        json.append(escape.data());
      }
    }
    done = ++at;
  }
  json.append(text, done).push_back('"');
  return json;
}

std::string now() {
  using namespace std::chrono;
  const auto elapsed = system_clock::now().time_since_epoch();
  const std::time_t whole = duration_cast<seconds>(elapsed).count();
  const long micros = static_cast<long>(duration_cast<microseconds>(elapsed).count() % 1000000);
  std::tm parts;
  gmtime_r(&whole, &parts);
  std::array<char, 32> date;
  std::strftime(date.data(), date.size(), "%FT%T", &parts);
  std::array<char, 48> text;
  std::snprintf(text.data(), text.size(), "%s.%06ldZ", date.data(), micros);
  return text.data();
}

Wire::Wire(const std::string& key, const std::string& scheme, std::string session)
    : signer_(key, scheme), session_(std::move(session)), user_(to_text(xeus::get_user_name())) {}

std::string Wire::new_header(std::string_view type) const {
  std::string text = R"({"msg_id":")" + session_ + '_' + std::to_string(::getpid()) + '_' +
                     std::to_string(count_++) + R"(","msg_type":)";
  text.append(to_text(type));  // a reply's comes from the request, and may hold anything
  text.append(R"(,"username":)").append(user_);
  text.append(R"(,"session":")").append(session_);
  text.append(R"(","date":")").append(now());
  text.append(R"(","version":")").append(xeus::get_protocol_version()).append(R"("})");
  return text;
}

Frames Wire::encode(Frames prefix, Body body) const {
  Frames frames = std::move(prefix);
  frames.emplace_back(kDelimiter);
  const std::array<std::string_view, 4> parts{body.header, body.parent, body.metadata,
                                              body.content};
  frames.push_back(signer_.sign(parts));
  frames.push_back(std::move(body.header));
  frames.push_back(std::move(body.parent));
  frames.push_back(std::move(body.metadata));
  frames.push_back(std::move(body.content));
  std::move(body.buffers.begin(), body.buffers.end(), std::back_inserter(frames));
  return frames;
}

std::optional<xeus::xmessage> Wire::decode(Frames frames) {
  const auto delimiter = std::find(frames.begin(), frames.end(), kDelimiter);
  if (frames.end() - delimiter < 6) return std::nullopt;
  const auto first = delimiter + 2;
  const std::array<std::string_view, 4> parts{first[0], first[1], first[2], first[3]};
  if (!signer_.verify(delimiter[1], parts)) return std::nullopt;
  if (signer_.signs() && !replays_.is_first(delimiter[1])) return std::nullopt;

  nlohmann::json header = parse_object(parts[0]), parent = parse_object(parts[1]),
                 metadata = parse_object(parts[2]), content = parse_object(parts[3]);
  if (header.is_discarded() || parent.is_discarded() || metadata.is_discarded() ||
      content.is_discarded() || !is_text(header, "msg_type") || !is_text(header, "msg_id")) {
    return std::nullopt;
  }
  xeus::buffer_sequence buffers;
  std::transform(first + 4, frames.end(), std::back_inserter(buffers),
                 [](const std::string& f) { return xeus::binary_buffer(f.begin(), f.end()); });
  return xeus::xmessage(Frames(frames.begin(), delimiter), std::move(header), std::move(parent),
                        std::move(metadata), std::move(content), std::move(buffers));
}

}  // namespace firn::kernel
