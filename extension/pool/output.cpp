#include "pool/output.hpp"

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace firn::pool {
namespace {

constexpr std::size_t piece_bytes = 1 << 20;
constexpr std::size_t prompt_bytes = 64 << 10;
constexpr auto patience = std::chrono::milliseconds(20);

}  // namespace

void Output::append(int stream, std::string_view text, Time now) {
  if (pieces_.empty()) since_ = now;
  if (pieces_.empty() || pieces_.back().stream != stream ||
      pieces_.back().text.size() + text.size() > piece_bytes) {
    pieces_.push_back({stream, {}});
  }
  pieces_.back().text += text;
  bytes_ += text.size();
}

Output::Piece Output::take() {
  Piece piece = std::move(pieces_.front());
  pieces_.pop_front();
  bytes_ -= piece.text.size();
  return piece;
}

void Output::clear() {
  pieces_.clear();
  bytes_ = 0;
}

Time Output::due() const {
  return bytes_ >= prompt_bytes || pieces_.size() > 1 ? Time::min() : since_ + patience;
}

void write_to_process(int stream, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(stream, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;
    text.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
  }
}

}  // namespace firn::pool
