// Package wire writes and reads the small sealed objects: commits, receipts,
// install records and their like. It has a bounded binary codec (Writer,
// Reader) for their bodies, and an envelope around the body.
//
// # Envelope
//
// Little endian. These bytes never change; another layout has another version.
//
//	 0   8  magic 89 57 4c 4b 0d 0a 1a 0a
//	 8   2  version, 1
//	10   1  kind, see Kind; zero is none
//	11   1  seal: 1 = BLAKE3 checksum; zero is none
//	12   4  zero
//	16  16  route id
//	32   8  body length n, at most 256 MiB
//	40   n  body
//	40+n 32 checksum: BLAKE3 in derive-key mode, context by kind, of all before it
//
// The length is exact: a byte more or less is refused. The checks come in the
// order magic, version, kind, seal, length, checksum, route, and each has an
// error of its own, so that an object of a future version never reads as
// damage and one of another route never as a forgery.
//
// # Codec
//
//	Uvarint  LEB128, the shortest form only
//	Varint   zigzag of a Uvarint
//	Bool     one byte, 0 or 1
//	Blob     Uvarint length, bytes
//
// One value has one encoding: a Reader refuses every other, so equal bodies
// mean equal bytes. Every length and count is bounded before it is believed.
package wire
