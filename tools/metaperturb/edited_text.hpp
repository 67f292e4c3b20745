#ifndef METAPERTURB_TOOLS_METAPERTURB_EDITED_TEXT_HPP_
#define METAPERTURB_TOOLS_METAPERTURB_EDITED_TEXT_HPP_

#include <string>

#include "caffe/proto/caffe.pb.h"

namespace metaperturb {

/// `text`, the prototxt of a network, changed so that it defines `after`: layers that are new to it
/// are put in, blobs that have another name are renamed, and all else, comments and layout, stays
/// as it is. A layer that differs in more than its blobs' names is written anew, without the
/// comments inside it. Returns "" where that does not do: layers went, or changed their order, the
/// text is of an older format, or lists its layers otherwise than by `layer { ... }`.
std::string EditedText(const std::string& text, const caffe::NetParameter& after);

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_METAPERTURB_EDITED_TEXT_HPP_
