// Copying buffers into the heap.
#include <numeric>
#include <algorithm>
#include <cstring>
#include <thread>

#include "common/signals.hpp"
#include "heap/arena.hpp"
#include "heap/buffers/frozen.hpp"
#include "heap/buffers/loops.hpp"
#include "heap/cpus.hpp"
#include "heap/freezer.hpp"
#include "heap/records/rounds.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap::buffers {
namespace {

constexpr std::size_t kAlignment = 64;
// What a thread of its own is worth.
constexpr std::size_t kThreadBytes = std::size_t{16} << 20;

// firn.buffers' description, a tuple: (origin, holder, address or None, itemsize, shape, strides,
// format, typestr, inner or None, mark). Without an address the holder is a memoryview that has it
// all.
constexpr Py_ssize_t kParts = 10;

struct Source {
  Origin origin{};
  const char* data = nullptr;
  Py_ssize_t itemsize = 0;
  Shape shape, strides;
  const char* format = "";
  const char* typestr = "";
  PyObject* inner = nullptr;

  const char* first = nullptr;  // the memory that is read: [first, last)
  const char* last = nullptr;
  std::size_t bytes = 0;  // of the elements

  // Whether the memory is not larger than the elements: then it is copied as it is.
  bool is_dense() const { return static_cast<std::size_t>(last - first) <= bytes; }
};

Shape numbers(PyObject* tuple) {
  Shape shape;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); ++i) {
    shape.push_back(PyLong_AsSsize_t(PyTuple_GET_ITEM(tuple, i)));
  }
  return shape;
}

const char* text(PyObject* string) {  // ASCII: no cache is filled
  return static_cast<const char*>(PyUnicode_DATA(string));
}

Source parse(PyObject* description) {
  Source source;
  const auto part = [description](Py_ssize_t i) { return PyTuple_GET_ITEM(description, i); };
  source.origin = static_cast<Origin>(PyLong_AsLong(part(0)));
  source.format = text(part(6));
  source.typestr = text(part(7));
  if (part(8) != Py_None) source.inner = part(8);
  if (part(2) == Py_None) {
    const Py_buffer* buffer = PyMemoryView_GET_BUFFER(part(1));
    source.data = static_cast<const char*>(buffer->buf);
    source.itemsize = buffer->itemsize;
    source.shape.assign(buffer->shape, buffer->shape + buffer->ndim);
    source.strides.assign(buffer->strides, buffer->strides + buffer->ndim);
  } else {
    source.data = static_cast<const char*>(PyLong_AsVoidPtr(part(2)));
    source.itemsize = PyLong_AsSsize_t(part(3));
    source.shape = numbers(part(4));
    source.strides = numbers(part(5));
  }
  source.first = source.last = source.data;
  source.bytes = static_cast<std::size_t>(source.itemsize);
  for (std::size_t i = 0; i < source.shape.size(); ++i) {
    source.bytes *= static_cast<std::size_t>(source.shape[i]);
    const Py_ssize_t reach = (source.shape[i] - 1) * source.strides[i];
    (reach < 0 ? source.first : source.last) += reach;
  }
  source.last = source.bytes ? source.last + source.itemsize : source.data;
  if (!source.bytes) source.first = source.data;
  return source;
}

void copy_memory(char* to, const char* from, std::size_t bytes) {
  const std::size_t wanted = std::min<std::size_t>(static_cast<std::size_t>(usable_cpus()), 16);
  const std::size_t count = std::min(wanted, bytes / kThreadBytes);
  if (count < 2) {
    std::memcpy(to, from, bytes);
    return;
  }
  const std::size_t share = (bytes / count + kHugePage - 1) & ~(kHugePage - 1);
  std::size_t left = 0;  // what no thread was to be had for begins here
  std::vector<std::jthread> threads;
  {
    const SignalsBlocked blocked;
    try {
      while (threads.size() + 1 < count && left + share < bytes) {
        threads.emplace_back(
            [to, from, left, share] { std::memcpy(to + left, from + left, share); });
        left += share;
      }
    } catch (const std::system_error&) {
    }
  }
  std::memcpy(to + left, from + left, bytes - left);
}

char* allocate_aligned(Copier& copier, std::size_t bytes) {
  const auto at = reinterpret_cast<std::uintptr_t>(copier.allocate(bytes + kAlignment));
  return reinterpret_cast<char*>((at + kAlignment - 1) & ~(kAlignment - 1));
}

// Elements that lie apart, one after the other in the order that they have in memory. Sets the new
// strides.
char* copy_apart(Copier& copier, const Source& source, Shape* strides) {
  std::vector<std::size_t> order(source.shape.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::abs(source.strides[a]) > std::abs(source.strides[b]);
  });
  Py_ssize_t stride = source.itemsize;
  for (std::size_t i = order.size(); i-- > 0;) {
    (*strides)[order[i]] = stride;
    stride *= source.shape[order[i]];
  }
  char* const to = allocate_aligned(copier, source.bytes);
  const auto itemsize = static_cast<std::size_t>(source.itemsize);
  walk<2>(source.shape, {{to, const_cast<char*>(source.data)}, {*strides, source.strides}},
          [itemsize](const auto& at, const auto& steps, Py_ssize_t count) {
            const auto size = static_cast<Py_ssize_t>(itemsize);
            if (steps[0] == size && steps[1] == size) {
              std::memcpy(at[0], at[1], itemsize * static_cast<std::size_t>(count));
            } else if (size == 8) {
              for (Py_ssize_t i = 0; i < count; ++i)
                std::memcpy(at[0] + i * steps[0], at[1] + i * steps[1], 8);
            } else {
              for (Py_ssize_t i = 0; i < count; ++i) {
                std::memcpy(at[0] + i * steps[0], at[1] + i * steps[1], itemsize);
              }
            }
          });
  return to;
}

const char* copy_text(char*& room, const char* text) {
  const std::size_t size = std::strlen(text) + 1;
  const char* const at = room;
  std::memcpy(room, text, size);
  room += size;
  return at;
}

}  // namespace

char* Blocks::find(const char* first, const char* last) const {
  for (const Block& block : blocks_) {
    if (block.first <= first && last <= block.last) return block.copy + (first - block.first);
  }
  return nullptr;
}

bool is_description(PyObject* reduced) {
  return PyTuple_CheckExact(reduced) && PyTuple_GET_SIZE(reduced) == kParts &&
         PyTuple_GET_ITEM(reduced, kParts - 1) == reinterpret_cast<PyObject*>(&PyMemoryView_Type);
}

PyObject* describe(PyObject* original) {
  if (!PyObject_CheckBuffer(original)) return nullptr;
  Ref function(PyImport_ImportModuleAttrString("firn.buffers", "describe"));
  PyObject* const description = function ? PyObject_CallOneArg(function.get(), original) : nullptr;
  if (description != Py_None) return description;
  return nullptr;
}

void copy_blocks(Freezing& freezing, Copier& copier, const std::vector<Deferred>& values) {
  struct Cluster {
    const char* first;
    const char* last;
    std::size_t bytes;
    std::size_t members;
  };
  std::vector<Cluster> spans;
  for (const Deferred& value : values) {
    PyObject* const reduced = freezing.python.reduced(value.original);
    if (!reduced || !is_description(reduced)) continue;
    const Source source = parse(reduced);
    if (source.bytes && !in_lasting(source.data) && source.origin != Origin::objects) {
      spans.push_back({source.first, source.last, source.bytes, 1});
    }
  }
  std::sort(spans.begin(), spans.end(),
            [](const Cluster& a, const Cluster& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < spans.size();) {
    Cluster cluster = spans[i];
    for (++i; i < spans.size() && spans[i].first < cluster.last; ++i) {
      const bool same = spans[i].first == cluster.first && spans[i].last == cluster.last;
      cluster.last = std::max(cluster.last, spans[i].last);
      if (!same) cluster.bytes += spans[i].bytes;
      ++cluster.members;
    }
    const auto size = static_cast<std::size_t>(cluster.last - cluster.first);
    if (size > cluster.bytes || freezing.blocks.find(cluster.first, cluster.last)) continue;
    // Where an element was aligned, its copy is, too.
    const std::size_t offset = reinterpret_cast<std::uintptr_t>(cluster.first) % kAlignment % 16;
    char* const to = allocate_aligned(copier, size + offset) + offset;
    copy_memory(to, cluster.first, size);
    freezing.blocks.add(cluster.first, cluster.last, to);
  }
}

PyObject* make_buffer(Copier& copier, PyObject* original, PyObject* description, bool shared) {
  if (PyObject* known = twin_of(original)) {
    copier.note_lasting(known);
    return known;
  }
  const Source source = parse(description);
  char* data = nullptr;
  Shape strides = source.strides;
  Freezing& freezing = copier.freezing();
  if (source.origin == Origin::objects || freezing.looking) {
    data = nullptr;
  } else if (in_lasting(source.data)) {
    data = const_cast<char*>(source.data);
    copier.note_lasting(data);
  } else if (source.bytes == 0) {
    data = allocate_aligned(copier, 0);
  } else if (char* found = freezing.blocks.find(source.first, source.last)) {
    data = found + (source.data - source.first);
  } else {
    data = copy_apart(copier, source, &strides);
  }
  const std::size_t ndim = source.shape.size();
  const std::size_t fixed = offsetof(FrozenBuffer, extents) + 2 * ndim * sizeof(Py_ssize_t);
  char* const at =
      copier.allocate(fixed + std::strlen(source.format) + std::strlen(source.typestr) + 2);
  copier.count_object();
  auto* frozen = reinterpret_cast<FrozenBuffer*>(at);
  set_header(reinterpret_cast<PyObject*>(frozen), frozen_face_type(), shared);
  frozen->inner = nullptr;
  frozen->kind = FaceKind::buffer;
  frozen->flags = kUnchanging;
  frozen->origin = source.origin;
  frozen->extra = nullptr;
  frozen->data = data;
  frozen->itemsize = source.itemsize;
  frozen->ndim = static_cast<Py_ssize_t>(ndim);
  std::copy(source.shape.begin(), source.shape.end(), frozen->extents);
  std::copy(strides.begin(), strides.end(), frozen->extents + ndim);
  char* room = at + fixed;
  frozen->format = copy_text(room, source.format);
  frozen->typestr = copy_text(room, source.typestr);
  if (source.inner) {
    frozen->inner = source.inner;
    copier.push(original, reinterpret_cast<PyObject*>(frozen), &frozen->inner, 1, 1, Role::state);
  }
  return reinterpret_cast<PyObject*>(frozen);
}

}  // namespace firn::heap::buffers
