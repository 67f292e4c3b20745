#ifndef METAPERTURB_TOOLS_CONVERT_DATASET_CATALOGUE_HPP_
#define METAPERTURB_TOOLS_CONVERT_DATASET_CATALOGUE_HPP_

#include <string>
#include <vector>

#include "tools/convert_dataset/dataset.hpp"

namespace metaperturb {

/// A data set that the program knows.
struct CatalogueEntry {
  std::string name;
  Dataset (*read)(const FileSet& files);
  int size;             // default height and width
  int pad;              // default border: the paper's for that size
  int per_class;        // training images per class; 0: all. The paper's small subsets have some
  int test_per_class;   // images per class kept for the test, where the authors define no test part
  std::string sources;  // what to give as --source
};

const std::vector<CatalogueEntry>& Catalogue();

/// caffe::Error with the nearest name where there is none of that name.
const CatalogueEntry& FindInCatalogue(const std::string& name);

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_CONVERT_DATASET_CATALOGUE_HPP_
