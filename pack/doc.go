// Package pack is the pack format: a file that holds many chunks, each in a
// record of its own. It knows io.Writer and io.ReaderAt, and no paths.
//
// # Layout
//
// Little endian. These bytes never change; another layout has another version.
// Zero is invalid as magic, version, kind, seal, encoding, number and length,
// so an area that was never written is told from one that was.
//
//	header | record 1 | record 2 | … | table | footer
//
// Header, 64 bytes:
//
//	 0   8  magic 89 57 4c 50 0d 0a 1a 0a
//	 8   2  version, 1
//	10   1  kind of all chunks: 1 = data, 2 = stream
//	11   1  seal: 1 = BLAKE3 checksums
//	12   4  zero
//	16  16  pack id, random
//	32  32  checksum of bytes 0–31
//
// Record, 72 + n + 32 bytes:
//
//	 0   8  magic c3 9f 57 4c 52 b6 e1 0a
//	 8   1  encoding: 1 = raw, 2 = zstd
//	 9   3  zero
//	12   4  number, from 1, one more than that of the record before
//	16   4  stored length n
//	20   4  plain length
//	24  32  chunk ID
//	56  16  header checksum of pack id and bytes 0–55, cut to 16 bytes
//	72   n  payload
//	72+n 32 record checksum of pack id, bytes 0–71 and the BLAKE3-256 of the payload
//
// Table, 16 + 41·records + 32 bytes. Records lie one behind the other, so
// their offsets follow from their lengths:
//
//	 0   8  magic c3 9f 57 4c 54 b6 e1 0a
//	 8   4  number of records
//	12   4  zero
//	16  41  for each record: encoding (1), stored length (4), plain length (4), chunk ID (32)
//	    32  checksum of pack id, kind (1) and all of the table before
//
// Footer, 80 bytes, the last of the file:
//
//	 0   8  magic c3 9f 57 4c 46 b6 e1 0a
//	 8   2  version, 1
//	10   1  kind
//	11   1  seal
//	12   4  number of records
//	16  16  pack id
//	32   8  offset of the table
//	40   8  length of the table
//	48  32  checksum of bytes 0–47
//
// All checksums are BLAKE3 in derive-key mode, each with a context of its own.
//
// # What follows from it
//
// A record is sealed alone and stands alone: damage to one loses that chunk.
// The pack id is in its checksums but not in its bytes, so a record of a pack
// that lies inside a raw payload of another is never taken for one of its own.
// The footer repeats what is needed to check records, so either the header or
// the footer is enough to find them all, with the table or without.
//
// Checks come in the order magic, version, checksum, fields. Every length is
// bounded before memory is reserved for it. Whatever lies between the parts or
// behind the footer is an error.
package pack
