#include "tools/metaperturb/record_count.hpp"

#include <memory>

#include "caffe/util/db.hpp"

namespace metaperturb {

int64_t CountRecords(const std::string& source, caffe::DataParameter::DB backend) {
  std::unique_ptr<caffe::db::DB> database(caffe::db::GetDB(backend));
  database->Open(source, caffe::db::READ);
  std::unique_ptr<caffe::db::Cursor> cursor(database->NewCursor());
  int64_t count = 0;
  for (cursor->SeekToFirst(); cursor->valid(); cursor->Next()) ++count;
  return count;
}

}  // namespace metaperturb
