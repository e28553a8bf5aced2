// Package chunk names and cuts content. It is the one home of BLAKE3 and of
// the content-defined chunker; everything that hashes goes through it.
//
// There are three kinds of hash, and each has a type of its own so that one
// is never taken for another:
//
//	ID           names one chunk. Data chunks: BLAKE3-256 of the plain bytes.
//	             Stream chunks: BLAKE3 in derive-key mode, so that the content
//	             of a file can never stand in for a piece of metadata.
//	ContentHash  BLAKE3-256 of the whole logical content of a file, as b3sum
//	             prints it. A file of one data chunk has that chunk's ID as its
//	             content hash.
//	Digest       BLAKE3-256 of a file of ours, a pack for example.
//
// Of BLAKE3 there are two implementations: one for what is hashed at once and
// for keys, and the compression of the other under a tree of our own, which can
// pass over holes and is the faster one for what is long. Tests hold them to
// each other.
//
// Checksum is for the seals of headers, records, tables and envelopes.
package chunk
