// Package index holds the two indexes: home's ledger (what the vault has, what
// is aboard) and the vault's catalog (where each chunk lies). It alone imports
// Badger.
//
// # Caches
//
// Both are caches. Whatever they say can be had again from write-once files,
// so the one question that matters is whether an index may be believed. Badger
// does not answer it: after a power cut acknowledged keys are gone and its
// Open says nothing, a flipped bit in its log hides every later key, and one in
// a table may panic. Hence the stamp of a clean close:
//
//	<dir>/badger/   Badger's files
//	<dir>/clean     the stamp: name, size and BLAKE3 of every file in badger/
//	<dir>/lock      held while the index is open; always empty
//
// Open takes the lock, asks for free space, and believes badger/ only if the
// stamp is sound and names exactly the files that are there, with their sizes
// and hashes. Then it removes the stamp, durably, and opens Badger: from now on
// until Close, whatever happens (a kill, a power cut, a panic, a failed write),
// there is no stamp. In any other case badger/ is deleted and an empty index is
// returned as fresh, for the caller to rebuild. Close closes Badger, syncs and
// hashes its files and writes the stamp durably. After an error of a write, or
// a panic within Badger, Close writes none. Tables are write-once, so the
// hashes that Open has checked are kept for Close and not computed again: what
// rots while the index is open is found at the next Open.
//
// Nothing is durable before Close: a batch may span several of Badger's
// transactions, and the writes are not synced.
//
// What cannot be caught: Badger maps its files into memory, so a full or
// failing disk kills the process with SIGBUS, in a goroutine of Badger's where
// no recover reaches. Open and every batch therefore ask for MinFree bytes
// first (ErrNoRoom), and a process that dies nevertheless leaves no stamp.
//
// # Ledger
//
//	'c' ID[32]      flags (bit 0: held), then uvarints: of a held chunk, the number
//	                of the receipt it became held by; of others, the ordinals of
//	                the shipments that carry it, ascending
//	'g'             generation, u64
//	'm' key         small facts of the caller's
//
// # Catalog
//
// Numbers in keys are big endian, so that keys sort as numbers do.
//
//	'c' ID[32] container u64        offset, stored length, plain length, encoding, read at
//	'r' container u64 offset u64    ID[32], plain length        (what a container holds, in order)
//	'k' container u64               kind, flags, tree, name, inode, size, mtime, hash, read at
//	'p' tree 00 path                kind, adopted, container, inode, size, mtime, link group, digest, hash
//	'g' tree 00 group u64           container
//	'd' ID[32] pack u32             record number, encoding, offset, stored length, plain length
//	'w' ID[32]                      snapshot, kind
//	't' ID[32]                      nothing: the stream chunk's chunks were all there
//	'a' snapshot u64                nothing: the snapshot has arrived
//	'n'                             the highest container number given out, u64
//	'm' key                         small facts of the caller's
//
// A chunk's key ends in the container, so a chunk with a million places is a
// million small rows and never one large one, and one good place is found by
// one seek. Where a container lies is said in its 'k' row only: moving 200 GB
// is one write. In the path of a 'p' row '/' is written as byte 0, which no
// name holds, so that Badger's bytewise order is the order of the stream: a
// directory before what is in it, and that before its next sibling.
//
// All lookups and iterators see what was committed when they began.
package index
