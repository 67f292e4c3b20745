#include "caffe/util/image_list.hpp"

#include <charconv>
#include <fstream>

#include "util/error.hpp"

namespace caffe {

std::vector<ListedImage> ReadImageList(const std::string& file) {
  std::ifstream in(file);
  ENFORCE(in.good()) << file << ": cannot be opened";
  std::vector<ListedImage> images;
  std::string text;
  for (int line = 1; std::getline(in, text); ++line) {
    if (line == 1 && text.compare(0, 3, "\xEF\xBB\xBF") == 0) text.erase(0, 3);
    text.erase(text.find_last_not_of(" \t\r") + 1);
    if (text.empty()) continue;
    const size_t space = text.find_last_of(" \t");
    int label = -1;
    bool good = space != std::string::npos;
    if (good) {
      const char* end = text.data() + text.size();
      const auto parsed = std::from_chars(text.data() + space + 1, end, label);
      good = parsed.ec == std::errc() && parsed.ptr == end;
    }
    ENFORCE(good) << file << ":" << line << ": 'path label' is expected, not '" << text << "'";
    text.erase(text.find_last_not_of(" \t", space) + 1);
    images.push_back({text, label, line});
  }
  ENFORCE(!images.empty()) << file << ": lists no image";
  return images;
}

}  // namespace caffe
