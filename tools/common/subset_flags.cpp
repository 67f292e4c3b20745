#include "tools/common/subset_flags.hpp"

#include <map>

DEFINE_int32(pad, 0, "Zero pixels to add on each side");
DEFINE_int32(resize, 0, "Height and width to resize the images to, before padding; 0: as they are");
DEFINE_string(classes, "", "Classes to keep, as in 0,2,5; they become 0, 1, 2. Default: all");
DEFINE_int32(per_class, 0, "Images to take of each class; 0: all");
DEFINE_int32(skip_per_class, 0, "Images to leave out of each class before");
DEFINE_int32(seed, 1, "Of the order of the records");

namespace metaperturb {

Subset SubsetFromFlags() {
  ENFORCE(FLAGS_per_class >= 0) << "--per_class=" << FLAGS_per_class << " is negative";
  ENFORCE(FLAGS_skip_per_class >= 0)
      << "--skip_per_class=" << FLAGS_skip_per_class << " is negative";
  Subset subset;
  subset.classes = ParseClasses(FLAGS_classes);
  subset.per_class = FLAGS_per_class;
  subset.skip_per_class = FLAGS_skip_per_class;
  subset.seed = static_cast<uint64_t>(FLAGS_seed);
  return subset;
}

void ResizeAndPadByFlags(caffe::Datum* datum) {
  ENFORCE(FLAGS_pad >= 0) << "--pad=" << FLAGS_pad << " is negative";
  ENFORCE(FLAGS_resize >= 0) << "--resize=" << FLAGS_resize << " is negative";
  ENFORCE(FLAGS_resize <= kMaxExtent)
      << "--resize=" << FLAGS_resize << ": must not exceed " << kMaxExtent;
  Resize(FLAGS_resize, datum);
  Pad(FLAGS_pad, datum);
}

void WriteSubset(const std::string& output, const std::vector<int>& label,
                 const std::function<caffe::Datum(int)>& image) {
  const Subset subset = SubsetFromFlags();
  const std::vector<int> chosen = Select(label, subset);
  std::map<int, int> count;
  for (const int l : label) count[l] += 0;
  for (const int i : chosen) ++count[label[i]];
  for (const auto& of_class : count) {
    if (NewLabel(subset, of_class.first) < 0) continue;
    ENFORCE(of_class.second > 0) << "class " << of_class.first << " has no image left";
    LOG_IF(WARNING, of_class.second < subset.per_class)
        << "class " << of_class.first << " has " << of_class.second << " images; --per_class is "
        << subset.per_class;
  }
  WriteLmdb(output, static_cast<int>(chosen.size()), [&](int i) {
    caffe::Datum datum = image(chosen[i]);
    datum.set_label(NewLabel(subset, label[chosen[i]]));
    ResizeAndPadByFlags(&datum);
    return datum;
  });
}

}  // namespace metaperturb
