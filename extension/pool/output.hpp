#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "pool/wake.hpp"

namespace firn::pool {

/// What a chunk has written and nobody has read yet, in the order of its writes. Guarded by the
/// scheduler's mutex.
class Output {
 public:
  struct Piece {
    int stream;  // 1 stdout, 2 stderr, 3 display
    std::string text;
  };

  void append(int stream, std::string_view text, Time now);
  Piece take();
  void clear();

  bool empty() const { return pieces_.empty(); }
  std::size_t bytes() const { return bytes_; }
  /// When it is worth a reader's while: after 20 ms or 64 KB.
  Time due() const;

 private:
  std::deque<Piece> pieces_;
  std::size_t bytes_ = 0;
  Time since_{};
};

/// Writes to the process's own stdout or stderr, for output that belongs to no chunk.
void write_to_process(int stream, std::string_view text);

}  // namespace firn::pool
