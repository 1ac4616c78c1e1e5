#include "heap/scan/dead_memory.hpp"

#include "heap/cpython_layout.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "heap/arena.hpp"
#include "heap/interpreter.hpp"
#include "heap/records/state.hpp"
#include "heap/scan/guarded.hpp"
#include "heap/scan/words.hpp"

namespace firn::heap {
namespace {

// ---- CPython ----

const _PyThreadStateImpl* as_full(const PyThreadState* state) {
  return reinterpret_cast<const _PyThreadStateImpl*>(state);
}

// Whether no thread is in the middle of the interpreter's Python code or allocator. The caller's
// own thread is at a known place.
bool at_rest(const PyInterpreterState* interpreter, const Caller& caller) {
  if (interpreter == caller.interpreter) return true;
  for (const PyThreadState* state = interpreter->threads.head; state; state = state->next) {
    if (state->state != _Py_THREAD_DETACHED) return false;
  }
  return true;
}

// The C stack of a thread below `alive`. The bounds that the thread state knows may be wider than
// the stack is (`ulimit -s unlimited`: to the next mapping that was there when it was made), with
// other memory in between by now: nothing outside of the mapping is the stack's.
void wipe_stack(const Dead& dead, const _PyThreadStateImpl* state, std::uintptr_t alive,
                const PageVector<Mapping>& mappings) {
  for (const Mapping& mapping : mappings) {
    if (alive <= mapping.begin || alive > mapping.end) continue;
    dead.wipe(dead.context, std::max(state->c_stack_hard_limit, mapping.begin), alive);
  }
}

// Whether the state is that of the thread, which stands there. A state may outlive its thread, with
// the bounds of a stack whose place others have by now.
bool stands_in(const _PyThreadStateImpl* state, pid_t thread, std::uintptr_t address) {
  return state->base.native_thread_id == static_cast<unsigned long>(thread) &&
         state->c_stack_hard_limit && address > state->c_stack_hard_limit &&
         address < state->c_stack_top;
}

// The part of a frame's evaluation stack that is not in use. A frame that has called something has
// written down how much is.
void wipe_frames(const Dead& dead, const PyThreadState* state) {
  for (const _PyInterpreterFrame* frame = state->current_frame; frame; frame = frame->previous) {
    const auto* code = reinterpret_cast<const PyCodeObject*>(frame->f_executable.bits &
                                                             ~std::uintptr_t{Py_TAG_BITS});
    if (!code || !frame->stackpointer || Py_TYPE(code) != &PyCode_Type) continue;
    const auto used = reinterpret_cast<std::uintptr_t>(frame->stackpointer);
    const auto begin = reinterpret_cast<std::uintptr_t>(frame->localsplus);
    const auto end =
        begin + static_cast<std::uintptr_t>(code->co_nlocalsplus + code->co_stacksize) *
                    sizeof(_PyStackRef);
    if (used >= begin && used < end) dead.wipe(dead.context, used, end);
  }
}

// Objects that were freed and wait to be used again; the first word links them.
template <typename Visit>
void each_unused_object(const PyInterpreterState* interpreter, const Visit& visit) {
  const _Py_freelists& all = interpreter->object_state.freelists;
  const auto* first = reinterpret_cast<const _Py_freelist*>(&all);
  for (std::size_t i = 0; i < sizeof all / sizeof *first; ++i) {
    Py_ssize_t left = first[i].size;
    for (auto* at = static_cast<std::uintptr_t*>(first[i].freelist); at && left > 0; --left) {
      visit(reinterpret_cast<std::uintptr_t>(at));
      at = *reinterpret_cast<std::uintptr_t**>(at);
    }
  }
}

// ---- the C library ----

// What malloc keeps in front of each chunk.
struct Chunk {
  std::uintptr_t previous_size;  // only when the previous chunk is free
  std::uintptr_t size_and_flags;
  std::uintptr_t words[2];  // of a free chunk: its neighbours in a list

  static constexpr std::uintptr_t kPreviousInUse = 1, kMapped = 2, kOtherArena = 4;
  std::uintptr_t size() const { return size_and_flags & ~std::uintptr_t{7}; }
};

const Chunk& chunk_at(std::uintptr_t address) { return *reinterpret_cast<const Chunk*>(address); }

// ---- CPython's objects ----

// Where a string or a bytes object ends that may begin at the address; 0 if none does. An array of
// pointers is none, though its second one be that to `str` or `bytes`: it does not begin with a
// count, and the next is no size, neither an address, for that does not fit between `at` and `end`,
// nor the 0 of a place that is not set, for empty texts are static objects.
std::uintptr_t end_of_text(std::uintptr_t at, std::uintptr_t end) {
  if (end - at < sizeof(PyVarObject)) return 0;
  const auto* object = reinterpret_cast<const PyObject*>(at);
  const auto size = static_cast<std::size_t>(reinterpret_cast<const PyVarObject*>(object)->ob_size);
  if (!size || size >= end - at || !is_count(*reinterpret_cast<const std::uintptr_t*>(at))) {
    return 0;
  }
  std::size_t bytes = 0;
  if (object->ob_type == &PyBytes_Type) {
    bytes = offsetof(PyBytesObject, ob_sval) + size + 1;
  } else if (object->ob_type == &PyUnicode_Type && end - at > sizeof(PyASCIIObject)) {
    const auto& state = reinterpret_cast<const PyASCIIObject*>(object)->state;
    if (!state.compact) return 0;
    bytes = (state.ascii ? sizeof(PyASCIIObject) : sizeof(PyCompactUnicodeObject)) +
            (size + 1) * state.kind;
  }
  return bytes && bytes <= end - at ? at + bytes : 0;
}

// Of a code object that may begin at the address, in memory that ends at `end`: what lies behind
// it, and the field that only the free-threaded build fills. Both hold what the memory held before.
// Its length and the size of its frames are small numbers that agree, which no array of pointers
// has.
void wipe_unset_in_code(const Dead& dead, std::uintptr_t at, std::uintptr_t end) {
  constexpr std::size_t kFixed = offsetof(PyCodeObject, co_code_adaptive);
  if (end - at < kFixed) return;
  const auto* code = reinterpret_cast<const PyCodeObject*>(at);
  if (code->ob_base.ob_base.ob_type != &PyCode_Type) return;
  const auto units = static_cast<std::size_t>(code->ob_base.ob_size);
  const long rest = long{code->co_framesize} - code->co_nlocalsplus - code->co_stacksize;
  if (!units || units > (end - at - kFixed) / sizeof(_Py_CODEUNIT) || code->co_stacksize < 0 ||
      code->co_nlocalsplus < 0 || rest <= 0 || rest > 64) {
    return;
  }
  const std::uintptr_t unset = at + offsetof(PyCodeObject, _co_unique_id);
  dead.wipe(dead.context, unset, unset + sizeof code->_co_unique_id);
  dead.wipe(dead.context, at + kFixed + units * sizeof(_Py_CODEUNIT), end);
}

// Behind the items of a tuple that may begin at the address, after the collector's two words. Those
// of code objects are in none of the collector's lists. A pointer is no number of items.
void wipe_rest_of_tuple(const Dead& dead, std::uintptr_t at, std::uintptr_t end) {
  constexpr std::size_t kFixed = sizeof(PyGC_Head) + offsetof(PyTupleObject, ob_item);
  if (end - at <= kFixed) return;
  const auto* tuple = reinterpret_cast<const PyVarObject*>(at + sizeof(PyGC_Head));
  const auto items = static_cast<std::size_t>(tuple->ob_size);
  if (tuple->ob_base.ob_type != &PyTuple_Type || !items) return;
  if (items > (end - at - kFixed) / sizeof(PyObject*)) return;
  dead.wipe(dead.context, at + kFixed + items * sizeof(PyObject*), end);
}

constexpr std::uintptr_t kPool = POOL_SIZE;

class Blocks {
 public:
  Blocks(const Dead& dead, const _obmalloc_mgmt& management) : dead_(dead) {
    for (unsigned i = 0; i < management.maxarenas; ++i) {
      const arena_object& arena = management.arenas[i];
      if (!arena.address) continue;
      arenas_.push_back(arena);
    }
    std::sort(arenas_.begin(), arenas_.end(),
              [](const arena_object& a, const arena_object& b) { return a.address < b.address; });
  }

  // Memory of so many bytes from CPython's or the C library's allocator: what it got beyond them.
  void wipe_rest(std::uintptr_t address, std::uintptr_t bytes) {
    if (in_heap(reinterpret_cast<const void*>(address))) return;
    std::uintptr_t end = 0;
    if (const pool_header* pool = pool_of(address)) {
      if (!pool->ref.count || pool->szidx >= NB_SMALL_SIZE_CLASSES) return;
      const std::uintptr_t size = (std::uintptr_t{pool->szidx} + 1) << ALIGNMENT_SHIFT;
      const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(pool) + POOL_OVERHEAD;
      if (address >= begin) end = begin + ((address - begin) / size + 1) * size;
    } else if (bytes > SMALL_REQUEST_THRESHOLD) {
      const Chunk& chunk = chunk_at(address - 16);
      if (!(chunk.size_and_flags & Chunk::kMapped)) end = address - 16 + chunk.size() + 8;
    }
    // More than an allocator rounds up to would be something else.
    if (end > address + bytes && end - address - bytes <= 32) {
      dead_.wipe(dead_.context, address + bytes, end);
    }
  }

  void wipe_free() {
    for (const arena_object& arena : arenas_) {
      const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(arena.pool_address);
      dead_.wipe(dead_.context, end, arena.address + ARENA_SIZE);  // never used, or by other owners
      for (const pool_header* pool = arena.freepools; pool; pool = pool->nextpool) {
        const auto at = reinterpret_cast<std::uintptr_t>(pool);
        if (at % kPool || at < arena.address || at >= end) break;
        dead_.wipe(dead_.context, at + POOL_OVERHEAD, at + kPool);
      }
      for (std::uintptr_t at = (arena.address + kPool - 1) / kPool * kPool; at < end; at += kPool) {
        wipe_pool(*reinterpret_cast<const pool_header*>(at), at);
      }
    }
  }

  // The block that the address begins, without its first word; nothing outside of pools.
  void wipe_block(std::uintptr_t address) {
    const pool_header* pool = pool_of(address);
    if (!pool || !pool->ref.count || pool->szidx >= NB_SMALL_SIZE_CLASSES) return;
    const std::uintptr_t size = (std::uintptr_t{pool->szidx} + 1) << ALIGNMENT_SHIFT;
    const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(pool) + POOL_OVERHEAD;
    if (address < begin) return;
    const std::uintptr_t block = begin + (address - begin) / size * size;
    dead_.wipe(dead_.context, address + 8, block + size);
  }

 private:
  void wipe_pool(const pool_header& pool, std::uintptr_t at) {
    if (!pool.ref.count || pool.szidx >= NB_SMALL_SIZE_CLASSES) return;
    const std::uintptr_t size = (std::uintptr_t{pool.szidx} + 1) << ALIGNMENT_SHIFT;
    if (pool.nextoffset <= kPool) {
      dead_.wipe(dead_.context, at + std::max<std::uintptr_t>(pool.nextoffset, POOL_OVERHEAD),
                 at + kPool);
    }
    // What texts, tuples and code objects leave of their blocks.
    for (std::uintptr_t block = at + POOL_OVERHEAD; block + size <= at + kPool; block += size) {
      if (const std::uintptr_t end = end_of_text(block, block + size)) {
        dead_.wipe(dead_.context, end, block + size);
      } else {
        wipe_unset_in_code(dead_, block, block + size);
        wipe_rest_of_tuple(dead_, block, block + size);
      }
    }
    std::size_t most = (kPool - POOL_OVERHEAD) / size;
    for (const pymem_block* block = pool.freeblock; block && most; --most) {
      const auto begin = reinterpret_cast<std::uintptr_t>(block);
      if (begin / kPool != at / kPool) return;
      const auto* next = *reinterpret_cast<pymem_block* const*>(block);
      dead_.wipe(dead_.context, begin + 8, begin + size);
      block = next;
    }
  }

  const pool_header* pool_of(std::uintptr_t address) const {
    const auto after = std::upper_bound(
        arenas_.begin(), arenas_.end(), address,
        [](std::uintptr_t wanted, const arena_object& arena) { return wanted < arena.address; });
    if (after == arenas_.begin()) return nullptr;
    const arena_object& arena = *(after - 1);
    if (address >= reinterpret_cast<std::uintptr_t>(arena.pool_address)) return nullptr;
    const std::uintptr_t pool = address / kPool * kPool;
    return pool < arena.address ? nullptr : reinterpret_cast<const pool_header*>(pool);
  }

  const Dead& dead_;
  PageVector<arena_object> arenas_;
};

// How many bytes an object's allocator was asked for from the object on; 0 where a type may have
// objects of several sizes.
std::size_t bytes_of(const PyObject* object) {
  const PyTypeObject* type = Py_TYPE(object);
  if (type == &PyList_Type) return sizeof(PyListObject);
  if (type == &PyTuple_Type) {
    return offsetof(PyTupleObject, ob_item) +
           static_cast<std::size_t>(Py_SIZE(object)) * sizeof(PyObject*);
  }
  const newfunc own = type->tp_new;
  const bool usual = own == PyBaseObject_Type.tp_new || own == PyType_GenericNew ||
                     own == reinterpret_cast<PyTypeObject*>(PyExc_Exception)->tp_new;
  if (type->tp_itemsize || type->tp_alloc != PyType_GenericAlloc || !usual) return 0;
  auto bytes = static_cast<std::size_t>(type->tp_basicsize);
  if (type->tp_flags & Py_TPFLAGS_INLINE_VALUES) {
    // By the object's own number of values: later ones of its type may have fewer.
    const std::size_t values = _PyObject_InlineValues(const_cast<PyObject*>(object))->capacity;
    bytes += (values + 1) * sizeof(PyObject*) + (values + 7) / 8 * 8;
  }
  return bytes;
}

// Of any interpreter, also of subclasses.
bool is_deque(const PyTypeObject* type) {
  const destructor wanted = deque_destructor.load(std::memory_order_relaxed);
  for (; wanted && type; type = type->tp_base) {
    if (type->tp_dealloc == wanted) return true;
  }
  return false;
}

// Deques set neither the links of their outer blocks nor the places beyond their ends.
void wipe_deque(const Dead& dead, const DequeLayout& deque, Blocks& blocks) {
  const DequeBlock *first = deque.left_block, *last = deque.right_block;
  if (!first || !last) return;
  const auto wipe = [&](const void* begin, const void* end) {
    dead.wipe(dead.context, reinterpret_cast<std::uintptr_t>(begin),
              reinterpret_cast<std::uintptr_t>(end));
  };
  wipe(first, first->data + deque.left_index);
  wipe(last->data + deque.right_index + 1, last + 1);
  for (const DequeBlock* block = first; block; block = block == last ? nullptr : block->right) {
    blocks.wipe_rest(reinterpret_cast<std::uintptr_t>(block), sizeof *block);
  }
}

// What allocators round objects up by, and what containers have room for and do not use.
void wipe_containers(const Dead& dead, const PyInterpreterState* interpreter, Blocks& blocks) {
  const _gc_runtime_state& collector = interpreter->gc;
  const auto each = [&](const PyGC_Head& head) {
    const auto next = [](const PyGC_Head* at) {
      return reinterpret_cast<const PyGC_Head*>(at->_gc_next & ~std::uintptr_t{3});
    };
    std::size_t left = std::size_t{1} << 32;
    for (const PyGC_Head* at = next(&head); at && at != &head && left; at = next(at), --left) {
      auto* object = reinterpret_cast<PyObject*>(const_cast<PyGC_Head*>(at) + 1);
      if (const std::size_t bytes = bytes_of(object); bytes && bytes < SMALL_REQUEST_THRESHOLD) {
        blocks.wipe_rest(reinterpret_cast<std::uintptr_t>(object), bytes);
      }
      if (PyList_Check(object)) {
        const auto* list = reinterpret_cast<const PyListObject*>(object);
        const auto items = reinterpret_cast<std::uintptr_t>(list->ob_item);
        if (!items || list->allocated < Py_SIZE(object)) continue;
        const auto bytes = static_cast<std::uintptr_t>(list->allocated) * 8;
        dead.wipe(dead.context, items + static_cast<std::uintptr_t>(Py_SIZE(object)) * 8,
                  items + bytes);
        blocks.wipe_rest(items, bytes);
      } else if (PyDict_Check(object)) {
        const auto* dict = reinterpret_cast<const PyDictObject*>(object);
        if (dict->ma_values || !dict->ma_keys) continue;
        blocks.wipe_rest(reinterpret_cast<std::uintptr_t>(dict->ma_keys),
                         bytes_of_keys(dict->ma_keys));
      } else if (is_deque(Py_TYPE(object))) {
        wipe_deque(dead, *reinterpret_cast<const DequeLayout*>(object), blocks);
      }
    }
  };
  for (const gc_generation& generation : collector.generations) each(generation.head);
  each(collector.permanent_generation.head);
}

// ---- the chunks of the C library ----

bool plausible(std::uintptr_t at, std::uintptr_t end) {
  const std::uintptr_t size = chunk_at(at).size();
  return size >= 32 && size % 16 == 0 && size <= end - at && !(chunk_at(at).size_and_flags & 2);
}

// Whether a walk from chunk to chunk ends exactly where the heap does, with the top chunk.
bool walks(std::uintptr_t begin, std::uintptr_t end) {
  std::size_t steps = 0;
  std::uintptr_t at = begin;
  for (; at + sizeof(Chunk) <= end; at += chunk_at(at).size(), ++steps) {
    if (!plausible(at, end)) return false;
  }
  return at == end && steps > 1;
}

void wipe_chunks(const Dead& dead, std::uintptr_t begin, std::uintptr_t end,
                 std::uintptr_t tcache_key) {
  for (std::uintptr_t at = begin; at < end;) {
    const Chunk& chunk = chunk_at(at);
    const std::uintptr_t next = at + chunk.size();
    if (next == end) {
      // The top chunk, of which nothing is in use.
      dead.wipe(dead.context, at + 16, end);
      return;
    }
    const bool listed = !(chunk_at(next).size_and_flags & Chunk::kPreviousInUse) &&
                        chunk_at(next).previous_size == chunk.size();
    const bool cached = tcache_key && chunk.words[1] == tcache_key;
    // A chunk reaches to the size field of the next one.
    if (listed || cached) {
      dead.wipe(dead.context, at + 32, next + (listed ? 0 : 8));
    } else if (const std::uintptr_t text = end_of_text(at + 16, next + 8)) {
      dead.wipe(dead.context, text, next + 8);
    } else {
      wipe_unset_in_code(dead, at + 16, next + 8);
    }
    at = next;
  }
}

// The heaps of the other arenas begin at multiples of this.
constexpr std::uintptr_t kHeap = std::uintptr_t{64} << 20;

struct HeapInfo {
  std::uintptr_t arena;
  std::uintptr_t previous;
  std::uintptr_t size;
};

// The lists of small free chunks, which look as if they were in use: an array near the start of an
// arena's own data, one list a size. Links are mixed with the address that they stand at.
void wipe_small_chunks(const Dead& dead, std::uintptr_t arena, std::uintptr_t begin,
                       std::uintptr_t end) {
  constexpr std::size_t kLists = 10, kOffset = 16;
  for (std::size_t i = 0; i < kLists; ++i) {
    std::uintptr_t at = reinterpret_cast<const std::uintptr_t*>(arena + kOffset)[i];
    for (std::size_t steps = 0; at && steps < 1'000'000; ++steps) {
      if (at < begin || at % 16 || at + 32 > end || chunk_at(at).size() != 32 + 16 * i) return;
      const std::uintptr_t next = chunk_at(at).words[0] ^ (at + 16) >> 12;
      dead.wipe(dead.context, at + 24, at + chunk_at(at).size() + 8);
      at = next;
    }
  }
}

// The first heap of an arena begins with the arena's own data, whose size is malloc's secret: the
// first chunk is where a walk to the heap's end begins.
void wipe_arena(const Dead& dead, std::uintptr_t begin, std::uintptr_t limit,
                std::uintptr_t tcache_key) {
  const auto& info = *reinterpret_cast<const HeapInfo*>(begin);
  if (info.arena <= begin || info.arena > begin + 256 || info.previous || info.size % 4096 ||
      info.size < 8192 || info.size > std::min(kHeap, limit - begin)) {
    return;
  }
  const std::uintptr_t end = begin + info.size;
  for (std::uintptr_t at = begin + 1024; at < begin + 4096; at += 16) {
    if (!walks(at, end)) continue;
    wipe_small_chunks(dead, info.arena, at, end);
    return wipe_chunks(dead, at, end, tcache_key);
  }
}

bool may_be_mallocs(const Mapping& mapping) {
  return mapping.readable && mapping.writable && !mapping.shared && mapping.anonymous;
}

}  // namespace

std::uintptr_t find_tcache_key() {
  // A block that was just freed is in this thread's cache, with the key in its second word.
  std::uintptr_t keys[2];
  for (std::uintptr_t& key : keys) {
    void* volatile block = std::malloc(56);
    if (!block) return 0;
    auto* words = static_cast<volatile std::uintptr_t*>(block);
    words[1] = 0;
    std::uintptr_t address = reinterpret_cast<std::uintptr_t>(block);
    std::free(block);
    __asm__ volatile("" : "+r"(address));  // reading it is the point
    key = reinterpret_cast<volatile std::uintptr_t*>(address)[1];
  }
  // A key is random in all of its bits, a pointer never has the upper ones.
  return keys[0] == keys[1] && keys[0] >> 48 ? keys[0] : 0;
}

void wipe_stacks(const Dead& dead, const StoppedWorld& world, const Caller& caller,
                 const PageVector<Mapping>& mappings) {
  for (const PyInterpreterState* interpreter = _PyRuntime.interpreters.head; interpreter;
       interpreter = interpreter->next) {
    for (const PyThreadState* state = interpreter->threads.head; state; state = state->next) {
      guarded([&] {
        const _PyThreadStateImpl* full = as_full(state);
        if (stands_in(full, caller.thread, caller.stack)) {
          return wipe_stack(dead, full, caller.stack, mappings);
        }
        for (std::size_t i = 0; i < world.size(); ++i) {
          const StoppedThread& thread = world[i];
          if (!stands_in(full, thread.thread, thread.interrupted)) continue;
          // Its handler runs on the same stack, or on one of its own.
          const bool same = stands_in(full, thread.thread, thread.handler);
          wipe_stack(dead, full,
                     same ? std::min(thread.handler, thread.interrupted) : thread.interrupted,
                     mappings);
        }
      });
    }
  }
}

void wipe_python(const Dead& dead, const Caller& caller) {
  for (const PyInterpreterState* interpreter = _PyRuntime.interpreters.head; interpreter;
       interpreter = interpreter->next) {
    guarded([&] {
      if (!at_rest(interpreter, caller)) return;
      for (const PyThreadState* state = interpreter->threads.head; state; state = state->next) {
        dead.wipe(dead.context, reinterpret_cast<std::uintptr_t>(state->datastack_top),
                  reinterpret_cast<std::uintptr_t>(state->datastack_limit));
        wipe_frames(dead, state);
        if (const _PyStackChunk* spare = state->datastack_cached_chunk) {
          dead.wipe(dead.context, reinterpret_cast<std::uintptr_t>(spare->data),
                    reinterpret_cast<std::uintptr_t>(spare) + spare->size);
        }
      }
      if (!interpreter->obmalloc) return;
      records::each_spare_binding(
          interpreter,
          [](void* context, PyObject** record) {
            const auto at = reinterpret_cast<std::uintptr_t>(record);
            const auto* dead = static_cast<const Dead*>(context);
            dead->wipe(dead->context, at, at + sizeof *record);
          },
          const_cast<Dead*>(&dead));
      Blocks blocks(dead, interpreter->obmalloc->mgmt);
      each_unused_object(interpreter, [&](std::uintptr_t at) { blocks.wipe_block(at); });
      blocks.wipe_free();
      wipe_containers(dead, interpreter, blocks);
    });
  }
}

void wipe_malloc(const Dead& dead, const Caller& caller, const PageVector<Mapping>& mappings) {
  const Mapping* next = mappings.begin();
  while (next != mappings.end()) {
    const Mapping& first = *next++;
    if (!may_be_mallocs(first)) continue;
    // Memory that somebody had advice for (huge pages for a large array) is a mapping of its own.
    std::uintptr_t end = first.end;
    for (; next != mappings.end() && next->begin == end && may_be_mallocs(*next); ++next) {
      if (next->heap != first.heap) break;
      end = next->end;
    }
    guarded([&] {
      if (first.heap) {
        if (walks(first.begin, end)) wipe_chunks(dead, first.begin, end, caller.tcache_key);
        return;
      }
      for (std::uintptr_t at = (first.begin + kHeap - 1) / kHeap * kHeap; at < end; at += kHeap) {
        wipe_arena(dead, at, end, caller.tcache_key);
      }
    });
  }
}

}  // namespace firn::heap
