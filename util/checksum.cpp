#include "util/checksum.hpp"

#include <boost/crc.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "util/error.hpp"

namespace caffe {

uint32_t Crc32(const void* bytes, size_t size) {
  boost::crc_32_type crc;
  crc.process_bytes(bytes, size);
  return crc.checksum();
}

uint32_t FileCrc32(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  boost::crc_32_type crc;
  std::vector<char> part(1 << 20);
  while (file.read(part.data(), static_cast<std::streamsize>(part.size())) || file.gcount() > 0) {
    crc.process_bytes(part.data(), static_cast<size_t>(file.gcount()));
  }
  ENFORCE(file.eof()) << path << ": cannot be read: " << std::strerror(errno);
  return crc.checksum();
}

}  // namespace caffe
