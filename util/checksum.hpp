#ifndef METAPERTURB_UTIL_CHECKSUM_HPP_
#define METAPERTURB_UTIL_CHECKSUM_HPP_

#include <cstddef>
#include <cstdint>
#include <string>

namespace caffe {

/// CRC-32 (ISO 3309, as in zip and PNG) of `size` bytes.
uint32_t Crc32(const void* bytes, size_t size);

/// CRC-32 of a file's content. An Error names a file that cannot be read.
uint32_t FileCrc32(const std::string& path);

/// CRC-32 of a message's binary form.
template <class Message>
uint32_t MessageCrc32(const Message& message) {
  const std::string bytes = message.SerializeAsString();
  return Crc32(bytes.data(), bytes.size());
}

}  // namespace caffe

#endif  // METAPERTURB_UTIL_CHECKSUM_HPP_
