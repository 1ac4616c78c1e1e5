// What a retired segment's pages move to: a private file that has no name.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

#include "heap/arena.hpp"

namespace firn::heap {

// Why pages cannot move, in words that follow the folder's name.
struct Unspoolable {
  std::string reason;
};

// One thread at a time, and never one that runs Python. The mappings keep the file when the object
// goes; with the process, however it ends, the last of them goes, and the file.
class SpoolFile {
 public:
  // An empty file with room for so many bytes. Throws Unspoolable.
  SpoolFile(const std::string& folder, std::size_t bytes);
  ~SpoolFile();
  SpoolFile(const SpoolFile&) = delete;
  SpoolFile& operator=(const SpoolFile&) = delete;

  // Moves whole pages of finished segments to the end of the file, where their readers find them at
  // the same addresses; their memory is free afterwards. Throws Unspoolable: then they are where
  // they were.
  void take_over(const Extent& pages);

 private:
  void write(const Extent& pages);
  void settle(std::size_t bytes);

  int file_ = -1;
  off_t end_ = 0;
};

}  // namespace firn::heap
