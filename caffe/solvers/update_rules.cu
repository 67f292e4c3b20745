#include "caffe/solvers/update_rules.hpp"

#include <climits>

#include "caffe/util/device_launch.hpp"

namespace caffe {

namespace {

/// Rules of one type, each for an array of its own, as one kernel over the elements of all. They
/// travel with the kernel's arguments, of which there are at most 4 KiB.
template <class Rule>
struct RuleTable {
  static const int kMost = 3584 / (sizeof(Rule) + sizeof(int));
  Rule rules[kMost];
  int ends[kMost];  // behind the last element of each
  int count;

  int elements() const { return count > 0 ? ends[count - 1] : 0; }
  bool Add(int n, const Rule& rule) {
    if (count == kMost || n > INT_MAX - elements()) return false;
    ends[count] = elements() + n;
    rules[count++] = rule;
    return true;
  }
  CAFFE_HOST_DEVICE void operator()(int i) const {
    int low = 0, high = count - 1;  // the first whose end is behind i
    while (low < high) {
      const int middle = (low + high) / 2;
      if (ends[middle] > i) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    rules[low](i - (low > 0 ? ends[low - 1] : 0));
  }
};

template <class Rule>
RuleTable<Rule>& TableOfThread() {
  static thread_local RuleTable<Rule> table = {};
  return table;
}

template <class Rule>
void StartTable() {
  RuleTable<Rule>& table = TableOfThread<Rule>();
  ForEachIndex(table.elements(), table);
  table.count = 0;
}
template <class Rule>
void DropTable() {
  TableOfThread<Rule>().count = 0;
}

/// Whether rules are kept, and what to do with the table that has some.
struct Kept {
  bool keeps = false;
  void (*start)() = nullptr;
  void (*drop)() = nullptr;
};
thread_local Kept kept;

}  // namespace

template <class Rule>
void ApplyOnGpu(int n, const Rule& rule) {
  if (n <= 0) return;
  if (!kept.keeps) return ForEachIndex(n, rule);
  if (kept.start && kept.start != &StartTable<Rule>) kept.start();
  kept.start = &StartTable<Rule>;
  kept.drop = &DropTable<Rule>;
  if (TableOfThread<Rule>().Add(n, rule)) return;
  StartTable<Rule>();
  TableOfThread<Rule>().Add(n, rule);
}

RulesTogether::RulesTogether() : is_inner_(kept.keeps) {
  Start();  // what an outer one has kept comes first
  kept.keeps = true;
}

RulesTogether::~RulesTogether() {
  if (kept.drop) kept.drop();  // after an error
  kept = Kept();
  kept.keeps = is_inner_;
}

void RulesTogether::Start() {
  if (kept.start) kept.start();
  kept.start = kept.drop = nullptr;
}

#define INSTANTIATE_RULE(Rule)                              \
  template void ApplyOnGpu(int n, const Rule<float>& rule); \
  template void ApplyOnGpu(int n, const Rule<double>& rule)

INSTANTIATE_RULE(DecayL2);
INSTANTIATE_RULE(DecayL1);
INSTANTIATE_RULE(DecayTowards);
INSTANTIATE_RULE(SGDStep);
INSTANTIATE_RULE(NesterovStep);
INSTANTIATE_RULE(AdaGradStep);
INSTANTIATE_RULE(RMSPropStep);
INSTANTIATE_RULE(AdaDeltaStep);
INSTANTIATE_RULE(AdamStep);
INSTANTIATE_RULE(Scale);
INSTANTIATE_RULE(Clear);
INSTANTIATE_RULE(Subtract);

}  // namespace caffe
