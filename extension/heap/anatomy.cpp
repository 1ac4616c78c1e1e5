#include "heap/anatomy.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>

#include "heap/arena.hpp"
#include "heap/records/definitions.hpp"
#include "heap/records/layouts.hpp"
#include "heap/static_objects.hpp"
#include "heap/twins/twins.hpp"
#include "heap/types.hpp"

namespace firn::heap {
namespace {

constexpr std::uint32_t kNoKey = 0;
constexpr std::size_t kManyKeys = 64;  // a mapping with more is not a row
constexpr std::uint32_t kDeepest = 8;  // steps from the root
constexpr std::size_t kLong = 1000;    // items of a container that is sampled
constexpr std::size_t kGcHead = sizeof(PyGC_Head);

std::size_t aligned(std::size_t bytes) { return (bytes + 7) & ~std::size_t{7}; }

// Which addresses have been met: a bit for every 8 bytes, in pages that are made when needed.
class Met {
 public:
  // Whether it is new.
  bool insert(const void* address) {
    const auto offset = static_cast<std::size_t>(static_cast<const char*>(address) - heap_base);
    const std::size_t page = offset / kPage;
    if (page != latest_page_) {
      std::unique_ptr<Bits>& bits = pages_[page];
      if (!bits) bits = std::make_unique<Bits>();
      latest_page_ = page;
      latest_ = bits.get();
    }
    const std::size_t bit = offset % kPage / 8;
    std::uint64_t& word = latest_->words[bit / 64];
    const std::uint64_t mask = std::uint64_t{1} << bit % 64;
    if (word & mask) return false;
    word |= mask;
    return true;
  }

 private:
  static constexpr std::size_t kPage = std::size_t{1} << 20;
  struct Bits {
    std::uint64_t words[kPage / 8 / 64] = {};
  };
  std::unordered_map<std::size_t, std::unique_ptr<Bits>> pages_;
  std::size_t latest_page_ = ~std::size_t{0};
  Bits* latest_ = nullptr;
};

struct Measured {
  std::size_t bytes = 0;
  PyObject** slots = nullptr;  // children that are reached by one step
  std::size_t count = 0;
  std::size_t stride = 1;
  Step step = Step::items;
  PyDictObject* dict = nullptr;
  const Layout* layout = nullptr;  // of what has fields
};

std::size_t size_of_string(PyObject* object) {
  const auto* string = reinterpret_cast<PyASCIIObject*>(object);
  const auto length = static_cast<std::size_t>(string->length);
  if (string->state.ascii) return aligned(sizeof(PyASCIIObject) + length + 1);
  const auto* compact = reinterpret_cast<PyCompactUnicodeObject*>(object);
  return aligned(sizeof(PyCompactUnicodeObject) + (length + 1) * string->state.kind) +
         (compact->utf8 ? aligned(static_cast<std::size_t>(compact->utf8_length) + 1) : 0);
}

// An object without children, or of which the children do not count.
std::size_t size_of_plain(PyObject* object) {
  const PyTypeObject* type = Py_TYPE(object);
  const bool is_time = type == datetime_types.time;
  if ((is_time || type == datetime_types.datetime) &&
      !reinterpret_cast<_PyDateTime_BaseTZInfo*>(object)->hastzinfo) {
    return aligned(is_time ? sizeof(_PyDateTime_BaseTime) : sizeof(_PyDateTime_BaseDateTime));
  }
  std::size_t items = 0;
  if (type == &PyLong_Type) {  // the only one whose size field counts no items
    items = std::max<std::size_t>(1, integer_digits(object));
  } else if (type->tp_itemsize) {
    items = static_cast<std::size_t>(Py_SIZE(object));
  }
  const std::size_t gc = type->tp_flags & Py_TPFLAGS_HAVE_GC ? kGcHead : 0;
  const std::size_t header = type == &PyLong_Type ? offsetof(PyLongObject, long_value.ob_digit)
                                                  : static_cast<std::size_t>(type->tp_basicsize);
  return gc + aligned(header + items * static_cast<std::size_t>(type->tp_itemsize));
}

class Anatomist {
 public:
  explicit Anatomist(std::size_t every, std::size_t limit = ~std::size_t{0})
      : every_(every), limit_(limit) {
    names_.emplace_back();
  }

  std::vector<Part> dissect(PyObject* root) {
    walk(root);
    return std::move(parts_);
  }

  void walk(PyObject* root) {
    if (PyObject* twin = twin_of(root)) root = twin;  // an interpreter's own object of it
    if (!in_heap(root) || looked_at_ >= limit_ || !met_.insert(root)) return;
    meet(root, part_of(0, Step::root, kNoKey, root), 1);
    run();
  }

  Weight weight() const {
    Weight all;
    for (const Part& part : parts_) {
      all.objects += part.objects;
      all.bytes += part.bytes;
    }
    return all;
  }

  bool has_met(PyObject* object) { return !met_.insert(object); }

  // Those of the parts of all that was dissected.
  void add_definitions(std::set<std::uint32_t>& out) const {
    for (const std::uintptr_t type : types_) {
      if (type & 1) out.insert(static_cast<std::uint32_t>(type >> 1));
    }
  }

 private:
  // What is being walked, and how far.
  struct Frame {
    Measured what;
    std::uint32_t part;
    std::size_t at = 0;
    std::size_t every = 1;
    std::size_t weight = 1;  // how many objects one that is met stands for
  };

  // What tells the types of objects apart that C tells apart by fields.
  static std::uintptr_t type_tag(PyObject* object) {
    const auto type = reinterpret_cast<std::uintptr_t>(Py_TYPE(object));
    if (!is_ours(object)) return type;
    const auto* face = reinterpret_cast<FrozenFace*>(object);
    if (has_definition(face->kind)) return type_of_definition(definition_of(object));
    return type + 1 + static_cast<std::uintptr_t>(face->kind);
  }

  static bool is_record(FaceKind kind) {
    return kind >= FaceKind::record && kind <= FaceKind::set_record;
  }
  static bool has_definition(FaceKind kind) {
    return is_record(kind) || kind == FaceKind::twin || kind == FaceKind::definition;
  }
  static std::uint32_t definition_of(PyObject* object) {
    const auto* face = reinterpret_cast<FrozenFace*>(object);
    return is_record(face->kind) ? layout_of(object)->definition : face->layout;
  }
  // No type's address is odd.
  static std::uintptr_t type_of_definition(std::uint32_t number) {
    return std::uintptr_t{number} << 1 | 1;
  }

  static bool is_ours(PyObject* object) {
    const PyTypeObject* type = Py_TYPE(object);
    return type == frozen_list_type() || type == frozen_dict_type() || type == frozen_face_type() ||
           type == frozen_callable_type();
  }

  static std::string type_name(PyObject* object) {
    if (!is_ours(object)) {
      const char* name = Py_TYPE(object)->tp_name;
      const char* dot = std::strrchr(name, '.');
      return dot ? dot + 1 : name;
    }
    const FaceKind kind = reinterpret_cast<FrozenFace*>(object)->kind;
    if (has_definition(kind)) {
      const std::string name = name_of_definition(definition_of(object)).qualname;
      return name.empty() ? "object" : name.substr(name.rfind('.') + 1);
    }
    switch (kind) {
      case FaceKind::shell:
        return reinterpret_cast<PyTypeObject*>(reinterpret_cast<FrozenFace*>(object)->extra)
            ->tp_name;
      case FaceKind::list:
        return "list";
      case FaceKind::dict:
        return "dict";
      case FaceKind::set:
        return "set";
      case FaceKind::deque:
        return "deque";
      case FaceKind::ordered_dict:
        return "OrderedDict";
      case FaceKind::default_dict:
        return "defaultdict";
      case FaceKind::counter:
        return "Counter";
      default:
        return "object";
    }
  }

  struct Edge {
    std::uint32_t parent;
    std::uint32_t name;
    std::uintptr_t type;
    Step step;
    bool operator==(const Edge&) const = default;
  };
  struct EdgeHash {
    std::size_t operator()(const Edge& edge) const {
      std::uint64_t h = edge.type ^ std::uint64_t{edge.parent} << 40 ^
                        std::uint64_t{edge.name} << 8 ^ static_cast<std::uint64_t>(edge.step);
      h *= 0x9E3779B97F4A7C15ull;
      return h ^ h >> 32;
    }
  };

  std::uint32_t part_of(std::uint32_t parent, Step step, std::uint32_t name, PyObject* object) {
    if (step != Step::root) {
      parent = base_[parent];
      if (depth_[parent] >= kDeepest) {
        step = Step::below;
        name = kNoKey;
      }
    }
    const Edge edge{parent, name, type_tag(object), step};
    if (const auto found = edges_.find(edge); found != edges_.end()) return found->second;
    const auto index = static_cast<std::uint32_t>(parts_.size());
    Part part;
    part.parent = parent;
    part.step = step;
    part.name = names_[name];
    part.type = type_name(object);
    parts_.push_back(std::move(part));
    types_.push_back(edge.type);
    depth_.push_back(step == Step::root ? 0 : depth_[parent] + 1);
    base_.push_back(step == Step::below ? parent : base_of(index, object));
    keyed_.push_back(0);
    edges_.emplace(edge, index);
    if (step == Step::key) ++keyed_[parent];
    return index;
  }

  // Trees and chains of instances would have a path for each depth: what an instance holds belongs
  // to the first part of its class on the way.
  std::uint32_t base_of(std::uint32_t index, PyObject* object) {
    if (!is_ours(object) || !is_record(reinterpret_cast<FrozenFace*>(object)->kind)) return index;
    std::uint32_t above = index;
    while (parts_[above].step != Step::root) {
      above = parts_[above].parent;
      if (types_[above] != types_[index]) continue;
      parts_[base_[above]].recursive = true;
      return base_[above];
    }
    return index;
  }

  // Equal keys of different tables have one number.
  std::uint32_t name_of(PyObject* key) {
    if (key == latest_key_) return latest_name_;
    std::uint32_t& number = by_address_[key];
    if (!number) {
      const std::string text = text_of(key);
      const auto [found, is_new] =
          by_text_.try_emplace(text, static_cast<std::uint32_t>(names_.size()));
      if (is_new) names_.push_back(text);
      number = found->second;
    }
    latest_key_ = key;
    latest_name_ = number;
    return number;
  }

  static std::string text_of(PyObject* key) {
    const auto* string = reinterpret_cast<PyCompactUnicodeObject*>(key);
    if (string->_base.state.ascii) {
      return {static_cast<const char*>(PyUnicode_DATA(key)),
              static_cast<std::size_t>(string->_base.length)};
    }
    if (!string->utf8) return "?";  // a lone surrogate has no UTF-8 form
    return {string->utf8, static_cast<std::size_t>(string->utf8_length)};
  }

  Measured measure(PyObject* object) {
    Measured what;
    if (!is_ours(object)) {
      if (PyUnicode_CheckExact(object)) {
        what.bytes = size_of_string(object);
      } else if (PyTuple_CheckExact(object)) {
        add_tuple(object, what);
      } else if (PyFrozenSet_CheckExact(object)) {
        add_set(object, what);
      } else if (Py_TYPE(object) == builtin_frozendict_type()) {
        what.bytes = kGcHead + aligned(kFrozenDictSize);
        add_table(reinterpret_cast<PyDictObject*>(object), what);
      } else {
        what.bytes = size_of_plain(object);
      }
      return what;
    }
    const auto* face = reinterpret_cast<FrozenFace*>(object);
    if (is_record(face->kind)) {
      what.layout = layout_of(object);
      what.bytes = aligned(offsetof(FrozenRecord, fields) +
                           std::max<std::size_t>(1, what.layout->count) * sizeof(PyObject*));
      add_container_part(face->kind, face->inner, what);
      return what;
    }
    switch (face->kind) {
      case FaceKind::list:
        what.bytes = aligned(sizeof(FrozenList));
        add_tuple(face->inner, what);
        break;
      case FaceKind::deque:
      case FaceKind::shell:
        what.bytes = aligned(sizeof(FrozenFace));
        add_tuple(face->inner, what);
        break;
      case FaceKind::twin: {
        const auto* twin = reinterpret_cast<FrozenTwin*>(object);
        what.bytes = aligned(sizeof(FrozenTwin));
        what.step = Step::below;
        if (in_heap(twin->parts)) add_tuple(twin->parts, what);
        break;
      }
      case FaceKind::set:
        what.bytes = aligned(sizeof(FrozenFace));
        add_set(face->inner, what);
        break;
      case FaceKind::dict:
      case FaceKind::ordered_dict:
      case FaceKind::default_dict:
      case FaceKind::counter:
        what.bytes =
            aligned(face->kind == FaceKind::dict ? sizeof(FrozenDict) : sizeof(FrozenFace)) +
            kGcHead + aligned(sizeof(PyDictObject));
        add_table(reinterpret_cast<PyDictObject*>(face->inner), what);
        break;
      default:
        what.bytes = aligned(sizeof(FrozenFace));
    }
    return what;
  }

  void add_container_part(FaceKind kind, PyObject* inner, Measured& what) {
    if (kind == FaceKind::tuple_record || kind == FaceKind::list_record) add_tuple(inner, what);
    if (kind == FaceKind::set_record) add_set(inner, what);
    if (kind == FaceKind::dict_record) {
      what.bytes += kGcHead + aligned(sizeof(PyDictObject));
      add_table(reinterpret_cast<PyDictObject*>(inner), what);
    }
  }

  static void add_tuple(PyObject* object, Measured& what) {
    auto* tuple = reinterpret_cast<PyTupleObject*>(object);
    what.slots = tuple->ob_item;
    what.count = static_cast<std::size_t>(Py_SIZE(object));
    what.bytes +=
        kGcHead + aligned(offsetof(PyTupleObject, ob_item) + what.count * sizeof(PyObject*));
  }

  static void add_set(PyObject* object, Measured& what) {
    auto* set = reinterpret_cast<PySetObject*>(object);
    what.slots = &set->table->key;
    what.count = static_cast<std::size_t>(set->mask) + 1;
    what.stride = sizeof(setentry) / sizeof(PyObject*);
    what.step = Step::members;
    what.bytes += kGcHead + aligned(sizeof(PySetObject)) +
                  (set->table == set->smalltable ? 0 : what.count * sizeof(setentry));
  }

  // A table that rows share counts for the first of them.
  void add_table(PyDictObject* dict, Measured& what) {
    what.dict = dict;
    PyDictKeysObject* keys = dict->ma_keys;
    what.count = static_cast<std::size_t>(keys->dk_nentries);
    if (dict->ma_values) {
      what.bytes += aligned(offsetof(PyDictValues, values) + what.count * (sizeof(PyObject*) + 1));
    }
    if (!in_heap(keys) || !met_.insert(keys)) return;
    const std::size_t entry =
        DK_IS_UNICODE(keys) ? sizeof(PyDictUnicodeEntry) : sizeof(PyDictKeyEntry);
    const std::size_t room =
        dict->ma_values ? what.count : (std::size_t{2} << keys->dk_log2_size) / 3;
    what.bytes += aligned(sizeof(PyDictKeysObject) + (std::size_t{1} << keys->dk_log2_index_bytes) +
                          room * entry);
    keys_are_new_ = true;
  }

  // What fills the objects that are made of a twin, or nullptr.
  static const PyObject* state_of(PyObject* object) {
    if (!is_ours(object) || reinterpret_cast<FrozenFace*>(object)->kind != FaceKind::twin) {
      return nullptr;
    }
    const PyObject* state = reinterpret_cast<FrozenTwin*>(object)->state;
    return in_heap(state) ? state : nullptr;
  }

  // What makes the missing values of a defaultdict, if that is no builtin function or type.
  static PyObject** factory_of(PyObject* object) {
    if (!is_ours(object)) return nullptr;
    auto* face = reinterpret_cast<FrozenFace*>(object);
    return face->kind == FaceKind::default_dict && in_heap(face->extra) ? &face->extra : nullptr;
  }

  // Counts an object and, if it has children, begins to walk it.
  void meet(PyObject* object, std::uint32_t part, std::size_t weight) {
    if (is_marked_shared(object)) weight = 1;  // others of the items that were left out refer to it
    keys_are_new_ = false;
    ++looked_at_;
    const Measured what = measure(object);
    parts_[part].objects += weight;
    parts_[part].bytes += weight * what.bytes;
    if (what.layout && what.layout->count) {
      Frame fields{{}, part};
      fields.what.slots = reinterpret_cast<FrozenRecord*>(object)->fields;
      fields.what.count = what.layout->count;
      fields.what.step = Step::field;
      fields.what.layout = what.layout;
      fields.weight = weight;
      frames_.push_back(fields);
    }
    if (const PyObject* state = state_of(object)) {
      Frame filled{{}, part};
      add_tuple(const_cast<PyObject*>(state), filled.what);
      filled.what.step = Step::below;
      filled.weight = weight;
      parts_[part].bytes += weight * filled.what.bytes;
      frames_.push_back(filled);
    }
    if (PyObject** factory = factory_of(object)) {
      Frame made{{}, part};
      made.what.slots = factory;
      made.what.count = 1;
      made.what.step = Step::below;
      made.weight = weight;
      frames_.push_back(made);
    }
    if (!what.count) return;
    Frame frame{what, part};
    frame.what.layout = nullptr;
    frame.weight = weight;
    if (weight == 1 && every_ > 1 && what.count >= kLong) {
      frame.every = every_;
      frame.weight = every_;
    }
    if (what.dict && keys_are_new_) meet_keys(frame);
    frames_.push_back(frame);
  }

  void meet_keys(const Frame& frame) {
    PyDictKeysObject* keys = frame.what.dict->ma_keys;
    for (std::size_t i = 0; i < frame.what.count && looked_at_ < limit_; i += frame.every) {
      PyObject* key =
          DK_IS_UNICODE(keys) ? DK_UNICODE_ENTRIES(keys)[i].me_key : DK_ENTRIES(keys)[i].me_key;
      if (!key || !in_heap(key) || !met_.insert(key)) continue;
      meet(key, part_of(frame.part, Step::keys, kNoKey, key), frame.weight);
    }
  }

  void run() {
    while (!frames_.empty()) {
      const std::size_t depth = frames_.size();
      const bool done = frames_.back().what.dict ? walk_dict(depth) : walk_slots(depth);
      if (done) frames_.pop_back();
    }
  }

  // Each returns whether the frame is done; otherwise a new one is on top.
  bool walk_slots(std::size_t depth) {
    while (true) {
      Frame& frame = frames_[depth - 1];
      if (frame.at >= frame.what.count || looked_at_ >= limit_) return true;
      const std::size_t at = frame.at;
      PyObject* child = frame.what.slots[at * frame.what.stride];
      frame.at += frame.every;
      if (!child || !in_heap(child) || !met_.insert(child)) continue;
      const std::uint32_t name = frame.what.layout ? name_of(frame.what.layout->name(at)) : kNoKey;
      meet(child, part_of(frame.part, frame.what.step, name, child), frame.weight);
      if (frames_.size() != depth) return false;
    }
  }

  bool walk_dict(std::size_t depth) {
    while (true) {
      Frame& frame = frames_[depth - 1];
      if (frame.at >= frame.what.count || looked_at_ >= limit_) return true;
      PyDictObject* dict = frame.what.dict;
      PyDictKeysObject* keys = dict->ma_keys;
      PyObject* key = nullptr;
      PyObject* child = nullptr;
      if (DK_IS_UNICODE(keys)) {
        key = DK_UNICODE_ENTRIES(keys)[frame.at].me_key;
        child = dict->ma_values ? dict->ma_values->values[frame.at]
                                : DK_UNICODE_ENTRIES(keys)[frame.at].me_value;
      } else {
        child = DK_ENTRIES(keys)[frame.at].me_value;
      }
      frame.at += frame.every;
      if (!child || !in_heap(child) || !met_.insert(child)) continue;
      const bool keyed =
          key && frame.what.count <= kManyKeys && keyed_[base_[frame.part]] < kManyKeys;
      const std::uint32_t part = part_of(frame.part, keyed ? Step::key : Step::items,
                                         keyed ? name_of(key) : kNoKey, child);
      meet(child, part, frame.weight);
      if (frames_.size() != depth) return false;
    }
  }

  const std::size_t every_;
  const std::size_t limit_;
  std::size_t looked_at_ = 0;
  Met met_;
  bool keys_are_new_ = false;  // of the table that was measured last
  std::vector<Frame> frames_;
  std::vector<Part> parts_;
  // Of each part:
  std::vector<std::uintptr_t> types_;
  std::vector<std::uint32_t> depth_;
  std::vector<std::uint32_t> base_;  // the part that what is below it belongs to
  std::vector<std::size_t> keyed_;   // how many children by key it has
  std::unordered_map<Edge, std::uint32_t, EdgeHash> edges_;
  std::vector<std::string> names_;
  std::unordered_map<PyObject*, std::uint32_t> by_address_;
  std::unordered_map<std::string, std::uint32_t> by_text_;
  PyObject* latest_key_ = nullptr;
  std::uint32_t latest_name_ = 0;
};

}  // namespace

std::vector<Part> dissect(PyObject* root, std::size_t every) {
  return Anatomist(every).dissect(root);
}

Weight weigh(const std::vector<PyObject*>& roots, std::size_t limit) {
  Anatomist anatomist(1, limit);
  for (PyObject* root : roots) anatomist.walk(root);
  return anatomist.weight();
}

std::vector<std::uint32_t> definitions_below(const std::vector<PyObject*>& roots) {
  std::set<std::uint32_t> found;
  for (PyObject* root : roots) {
    Anatomist anatomist(1);
    anatomist.dissect(root);
    anatomist.add_definitions(found);
  }
  return {found.begin(), found.end()};
}

std::vector<std::uintptr_t> reached(const std::vector<std::uintptr_t>& roots,
                                    const std::vector<std::uintptr_t>& objects) {
  Anatomist anatomist(1);
  for (const std::uintptr_t root : roots)
    anatomist.walk(reinterpret_cast<PyObject*>(root));  // NOLINT: an address that Python held
  std::vector<std::uintptr_t> found;
  for (const std::uintptr_t at : std::set(objects.begin(), objects.end())) {
    auto* object = reinterpret_cast<PyObject*>(at);  // NOLINT: as above
    if (anatomist.has_met(object)) found.push_back(at);
  }
  return found;
}

}  // namespace firn::heap
