#ifndef METAPERTURB_UTIL_NEAREST_NAME_HPP_
#define METAPERTURB_UTIL_NEAREST_NAME_HPP_

#include <string>
#include <vector>

namespace caffe {

/// The known name that a misspelt one most likely means: least Levenshtein distance, case ignored;
/// empty when every name differs in more than half of its letters.
std::string NearestName(const std::string& name, const std::vector<std::string>& known);

/// " (did you mean 'Convolution'?)", or an empty string.
std::string DidYouMean(const std::string& name, const std::vector<std::string>& known);

}  // namespace caffe

#endif  // METAPERTURB_UTIL_NEAREST_NAME_HPP_
