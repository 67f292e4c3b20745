#ifndef METAPERTURB_UTIL_JSON_TEXT_HPP_
#define METAPERTURB_UTIL_JSON_TEXT_HPP_

#include <cstdio>
#include <string>

namespace caffe {

/// `text` as a JSON string (RFC 8259, section 7), quotation marks included.
inline std::string JsonQuoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", c);
      quoted += code;
      continue;
    }
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace caffe

#endif  // METAPERTURB_UTIL_JSON_TEXT_HPP_
