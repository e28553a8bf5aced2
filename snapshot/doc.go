// Package snapshot is the state of trees of files at one moment: how it is
// found (Walk), compared (Lockstep), written down (StreamWriter, Record),
// remembered at home (ScanWriter) and brought back (Restore).
//
// # Stream
//
// The entries of a tree in tree order: depth first, a directory before what
// lies in it, names in bytewise order; that is the bytewise order of paths
// with '/' taken as zero. The root comes first, with the path "". Numbers are
// Uvarints or, where they may be negative, Varints of package wire, each in
// its shortest form; a string or blob is its length and its bytes.
//
// A stream is a sequence of items, cut into stream chunks at borders of items.
//
//	item                                     limit
//	 uvarint  length of the rest             4 MiB
//	 u8       type: 1 entry, 2 more, 3 gone
//
//	entry                                    more
//	 uvarint  depth, 0 for the root           u8  flags: bit 5 only
//	 string   name, "" for the root           extents of the content
//	 fields                                   extents carried
//	 of a file:
//	  extents of the content
//	  extents carried: of a pending file, chunks at their offsets, with holes for what
//	                   is not carried yet, or is one
//
//	gone
//	 uvarint  depth, at least 1
//	 string   name
//	 u8       kind that it had
//	 u8       1 confirmed, 2 undecided, 3 kept, 4 excluded
//
//	fields
//	 u8       kind: 1 file 2 directory 3 symlink 4 pipe 5 socket 6 character device 7 block device
//	 u8       flags: 0 pending, 1 unseen, 2 time of birth, 3 link group, 4 hash,
//	          5 continued: a `more` item follows; 6 and 7 are zero
//	 uvarint  mode                           07777
//	 uvarint  user, uvarint group            32 bits
//	 string   user's name, string group's    255 bytes each
//	 time     of the last change             varint seconds, uvarint nanoseconds < 10^9
//	 time     of birth, if flag 2            not zero
//	 uvarint  link group, if flag 3          not zero
//	 uvarint  number of attributes           4,096, and 2 MiB in all
//	          each: string name, blob value  255 bytes; names ascending
//	 of a file:
//	  uvarint size                           2^62
//	  32      hash of the content, if flag 4 not zero
//	 of a symlink:
//	  string  target                         64 KiB, not empty, no NUL
//	 of a device:
//	  uvarint number
//
//	extents
//	 uvarint  how many                       4,096 in an item, 8,388,608 in a list
//	          each: uvarint length*2, 32 chunk ID   1 byte to 8 MiB
//	            or: uvarint length*2+1, a hole      never two in a row; 2^46 in all
//
// A name has 1 to 255 bytes, none of them NUL or '/', and is neither "." nor
// "..". All other bytes are legal, also where Windows would take the name for
// something else: whatever creates a path asks NameHere first. The path of an
// entry is that of the entry before it, cut to depth-1 names, and its name;
// what it lies in must be a directory of this tree, and paths ascend strictly.
// A path has at most 65,536 bytes.
//
// A tombstone (gone) says of a path that is no longer part of the tree what the
// vault's mirror is to do with it. It lies in a directory of the tree or beneath
// another tombstone, never an entry beneath it; the root has none. That of a
// directory stands for all beneath it that has no tombstone of its own. A path
// with neither entry nor tombstone, and none above it, is gone, and that is
// confirmed; confirmed is written only below what is otherwise, and above it. The
// scan file has one for each path that is not confirmed.
//
// A content list, and the list of what is carried behind it, is cut into items
// behind every extent whose ID begins with ten zero bits (as a little-endian
// number, the low ten), and at 4,096 extents, and nowhere else: an edit in a
// huge file changes the items around it.
//
// A stream chunk ends behind an item with which it has 16 KiB or more and
// whose own bytes say so (on average after 64 KiB), and before an item with
// which it would exceed 512 KiB: only an item alone may be larger. Readers
// check sizes and not where it was cut. The ID of a stream chunk is a BLAKE3
// hash in a context of its own, so content is never taken for metadata. With
// its StreamRef a stream chunk decodes alone; if one is lost, what it names is
// a gap (GapError) and the rest is read.
//
// # Record
//
//	 uvarint  number of the snapshot         not zero
//	 uvarint  seconds, uvarint nanoseconds   years 1970 to 9999
//	 string   host                           255 bytes
//	 uvarint  trees                          4,096
//	each, ascending by name:
//	 string   name                           a valid name
//	 string   source path, for people        64 KiB
//	 string   why it was stopped, or ""      4 KiB
//	 uvarint  files, directories, others, bytes, pending, unseen    2^62 each
//	 uvarint  stream chunks
//	each:
//	 32       ID                             not zero
//	 uvarint  plain bytes                    1 to 4 MiB + 4
//	 u8       1: continues the content of the first path, else 0
//	 string   path of the first item         "" and 0 in the first
//
// First paths ascend; equal ones follow each other only where the later
// continues. The ID of a snapshot is the checksum of these bytes.
//
// # Scan file
//
// It lies at home only: the entries of a tree and, beside each, what only this
// machine knows of it.
//
//	 8        magic 89 57 4c 53 0d 0a 1a 0a
//	 u8       version, 1
//	 u64      generation of the ledger, little endian
//	 string   tree
//	 16       checksum of the above
//	blocks, each:
//	 uvarint  length n of the payload        1 GiB
//	 n        payload
//	 16       checksum of the header's checksum (32 bytes), the block's number
//	          from 0 (u64, little endian), the payload
//	payload:
//	 u8       1: entries, at least one, each:
//	           u8       flags: 0 content not read; 1 to 3 of a tombstone what it is, as in a stream, else 0; others zero
//	           of a tombstone: string path, u8 kind, uvarint size, uvarint number of the first snapshot that has it so; else:
//	           uvarint  device, uvarint inode, time of the last change of the inode
//	           uvarint  links
//	           entry by itself: string path, fields, of a file both lists of extents
//	      or  2: the end; uvarint number of entries; nothing follows
//
// Entries ascend strictly; their parents need not be there. A file without its
// end block, or damaged, is read as far as its blocks are good (ErrScanTorn).
//
// # Promises
//
// Zero is no valid type, kind, block or number. Every length and count is
// checked against its limit, and against the bytes that are there, before
// memory is reserved. What decodes is encoded to the same bytes again. None of
// these constants ever changes.
package snapshot
