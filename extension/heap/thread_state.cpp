#include "heap/thread_state.hpp"

#include <link.h>

#include <vector>

namespace firn::heap {

std::ptrdiff_t thread_state_offset = 0;

namespace {

using Word = PyThreadState* const volatile;

struct Block {
  Word* begin = nullptr;
  std::size_t words = 0;
};

// The executable's thread-local variables. They are at the same distance from the thread pointer in
// every thread, which the ABI says of no library that may have been loaded later.
Block block_of_executable() {
  Block block;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t size, void* result) {
        const std::size_t needed = offsetof(dl_phdr_info, dlpi_tls_data) + sizeof(void*);
        for (int i = 0; size >= needed && i < info->dlpi_phnum; i++) {
          const ElfW(Phdr) & part = info->dlpi_phdr[i];
          if (part.p_type != PT_TLS || !info->dlpi_tls_data) continue;
          const auto first = reinterpret_cast<std::uintptr_t>(info->dlpi_tls_data);
          const std::uintptr_t begin = (first + 7) & ~std::uintptr_t{7};
          const std::uintptr_t end = first + part.p_memsz;
          *static_cast<Block*>(result) = {reinterpret_cast<Word*>(begin),
                                          end > begin ? (end - begin) / 8 : 0};
        }
        return 1;  // the executable comes first
      },
      &block);
  return block;
}

}  // namespace

void find_thread_state_offset() {
  PyThreadState* const own = PyThreadState_GetUnchecked();
  const Block block = block_of_executable();
  std::vector<Word*> found;
  for (std::size_t i = 0; i < block.words; i++) {
    if (block.begin[i] == own) found.push_back(block.begin + i);
  }
  // The one that is null while the thread has no GIL.
  PyEval_SaveThread();
  std::erase_if(found, [](Word* at) { return *at != nullptr; });
  PyEval_RestoreThread(own);
  std::erase_if(found, [own](Word* at) { return *at != own; });
  if (found.size() != 1) return;
  thread_state_offset = reinterpret_cast<const volatile char*>(found.front()) -
                        static_cast<char*>(__builtin_thread_pointer());
}

}  // namespace firn::heap
