#include "tools/metaperturb/edited_text.hpp"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "util/first_complaint.hpp"

namespace metaperturb {

namespace {

using caffe::LayerParameter;
using caffe::NetParameter;
using google::protobuf::TextFormat;
using std::string;

struct Token {
  size_t begin = 0, end = 0;  // in the text
  bool is(const string& text, const char* what) const {
    return text.compare(begin, end - begin, what) == 0;
  }
};

// Words, strings, and other characters one by one; no comments and white space.
std::vector<Token> Tokens(const string& text) {
  std::vector<Token> tokens;
  const auto is_word = [&](size_t i) {
    return std::isalnum(static_cast<unsigned char>(text[i])) || text[i] == '_';
  };
  for (size_t i = 0; i < text.size();) {
    Token token;
    token.begin = i++;
    const char first = text[token.begin];
    if (first == '#') {
      while (i < text.size() && text[i] != '\n') ++i;
      continue;
    }
    if (std::isspace(static_cast<unsigned char>(first))) continue;
    if (first == '"' || first == '\'') {
      while (i < text.size() && text[i] != first) i += text[i] == '\\' ? 2 : 1;
      i = std::min(i + 1, text.size());
    } else if (is_word(token.begin)) {
      while (i < text.size() && is_word(i)) ++i;
    }
    token.end = i;
    tokens.push_back(token);
  }
  return tokens;
}

// A piece of text that is replaced.
struct Edit {
  size_t begin, end;
  string by;
};

// A `layer { ... }` of the text, and its blobs' names, strings of one token each.
struct LayerText {
  size_t begin, end;
  std::vector<Token> bottoms, tops;
};

std::vector<LayerText> Layers(const string& text) {
  const std::vector<Token> tokens = Tokens(text);
  const auto is = [&](size_t i, const char* what) {
    return i < tokens.size() && tokens[i].is(text, what);
  };
  std::vector<LayerText> layers;
  int depth = 0;
  bool inside = false;  // a layer
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (is(i, "{") || is(i, "<")) {
      ++depth;
    } else if (is(i, "}") || is(i, ">")) {
      if (--depth == 0 && inside) layers.back().end = tokens[i].end;
      inside = inside && depth > 0;
    } else if (depth == 0 && is(i, "layer")) {
      layers.push_back({tokens[i].begin, 0, {}, {}});
      inside = true;
    } else if (depth == 1 && inside && (is(i, "bottom") || is(i, "top"))) {
      const size_t value = is(i + 1, ":") ? i + 2 : i + 1;
      if (value < tokens.size()) {
        auto& names = is(i, "bottom") ? layers.back().bottoms : layers.back().tops;
        names.push_back(tokens[value]);
        i = value;
      }
    }
  }
  return layers;
}

string Quoted(const string& name) {
  LayerParameter layer;
  layer.add_top(name);
  string field;
  TextFormat::PrintToString(layer, &field);  // top: "NAME" and a new line
  return field.substr(5, field.size() - 6);
}

string Printed(const LayerParameter& layer) {
  string fields;
  TextFormat::Printer printer;
  printer.SetInitialIndentLevel(1);
  printer.PrintToString(layer, &fields);
  return "layer {\n" + fields + "}";
}

// The edits that make a layer's text `before` one of `after`.
void Change(const LayerText& text, const LayerParameter& before, const LayerParameter& after,
            std::vector<Edit>* edits) {
  LayerParameter renamed = before;
  *renamed.mutable_bottom() = after.bottom();
  *renamed.mutable_top() = after.top();
  if (renamed.SerializeAsString() != after.SerializeAsString() ||
      text.bottoms.size() != static_cast<size_t>(after.bottom_size()) ||
      text.tops.size() != static_cast<size_t>(after.top_size()) ||
      before.bottom_size() != after.bottom_size() || before.top_size() != after.top_size()) {
    edits->push_back({text.begin, text.end, Printed(after)});
    return;
  }
  for (int i = 0; i < after.bottom_size(); ++i) {
    const Token& at = text.bottoms[i];
    if (before.bottom(i) == after.bottom(i)) continue;
    edits->push_back({at.begin, at.end, Quoted(after.bottom(i))});
  }
  for (int i = 0; i < after.top_size(); ++i) {
    const Token& at = text.tops[i];
    if (before.top(i) != after.top(i)) edits->push_back({at.begin, at.end, Quoted(after.top(i))});
  }
}

// Puts a new layer on lines of its own behind `end`, and what else is on that line.
Edit Insertion(const string& text, size_t end, const LayerParameter& layer) {
  size_t line = text.find_first_not_of(" \t\r;,", end);
  if (line != string::npos && text[line] == '#') line = text.find('\n', line);
  if (line != string::npos && text[line] == '\n')
    return {line + 1, line + 1, Printed(layer) + "\n"};
  const size_t at = line == string::npos ? text.size() : end;
  return {at, at, "\n" + Printed(layer) + "\n"};
}

string Applied(const string& text, const std::vector<Edit>& edits) {
  string result;
  size_t done = 0;
  for (const Edit& edit : edits) {
    result += text.substr(done, edit.begin - done) + edit.by;
    done = edit.end;
  }
  return result + text.substr(done);
}

bool Parse(const string& text, NetParameter* net) {
  caffe::FirstComplaint ignored;  // the text was read before
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&ignored);
  return parser.ParseFromString(text, net);
}

}  // namespace

string EditedText(const string& text, const NetParameter& after) {
  NetParameter before;
  const std::vector<LayerText> layers = Layers(text);
  if (!Parse(text, &before) || layers.size() != static_cast<size_t>(before.layer_size())) return "";
  std::vector<Edit> edits;
  int next = 0;
  for (const LayerParameter& layer : after.layer()) {
    if (next < before.layer_size() && layer.name() == before.layer(next).name()) {
      Change(layers[next], before.layer(next), layer, &edits);
      ++next;
    } else {
      const size_t end = next > 0 ? layers[next - 1].end : 0;
      edits.push_back(Insertion(text, end, layer));
    }
  }
  std::stable_sort(edits.begin(), edits.end(),
                   [](const Edit& a, const Edit& b) { return a.begin < b.begin; });
  const string result = Applied(text, edits);
  NetParameter made;
  const bool good = Parse(result, &made) && made.SerializeAsString() == after.SerializeAsString();
  return good ? result : "";
}

}  // namespace metaperturb
