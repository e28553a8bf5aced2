// Package chunkstore holds the vault's chunks: the plain files of the mirror,
// kept old versions and history packs are one store, and each of these files,
// as an inode and whatever its names are, is a container of chunks.
//
// # What it promises
//
//  1. A path of the mirror shows one whole version of a file at every instant,
//     the old or the new, after any crash and any failure. Only a path that
//     changes its kind may be absent for a moment.
//  2. An old version leaves the mirror only when its inode has a durable name
//     among the kept ones, or another path shows it. A kept file or a pack goes
//     only when every needed chunk of it has another durable place, and one
//     that was read: lately, or now.
//  3. Bytes in the mirror that this package did not write are never destroyed:
//     they are adopted where they are what was to come there, else moved to
//     foreign/<date>/<tree>/<path> and named. Until then what is left of our
//     chunks among them is a place like any other.
//     Files that lay in a tree before can be adopted: they count from then on,
//     and are somebody else's until a snapshot names their path (adopt.go).
//  4. What a file must hold is checked against the medium before it takes a
//     path: read back cold, compared with the hash of the whole content.
//  5. Every chunk that Get returns has been compared with its ID. A place that
//     is found bad is dropped and named, and the chunk becomes a want if that
//     was its last place.
//  6. The catalog is a cache. Install records and packs give the same rows
//     again, reading content only of files that were touched or copied.
//  7. Container numbers are never used twice for what is durable.
//
// # Directories
//
// In the vault's directory:
//
//	.wl/installs/<16 hex>.install   install records, numbered from 1
//	.wl/installs/<16 hex>.void      actions of that record that were given up
//	.wl/installs/….damaged          a damaged record that was restated: for people
//	.wl/packs/<xx>/<16 hex>.pack    history: data chunks; xx: last two digits
//	.wl/packs/<xx>/<16 hex>.meta    history: stream chunks
//	.wl/packs/<xx>/<16 hex>.part    a pack being written; nothing counts on it
//
// On each tree's own file system:
//
//	.wl/staging/<16 hex>[.in]       what is about to take a path
//	.wl/staging/<16 hex>.grow       a file that grows until it is whole
//	.wl/kept/<xx>/<16 hex>          old versions
//	.wl/foreign/<date>/<tree>/…     what others wrote and was in the way; of
//	                                what was adopted before, containers still
//
// The 16 hex digits are a container's number; an inode that gets one name more
// has a number drawn for its staged name. Volumes lie anywhere; a rename or
// link never leaves its file system.
//
// # A batch, step by step
//
// Each step is durable before the next begins, except that 1 is made durable by
// 2, and 9 and 10 need not be.
//
//	 1  stage      assemble new files from chunks in staging, link inodes that get
//	               another name there, make symlinks and pipes; set metadata
//	 2  sync       the staged files, then the directory staging
//	 3  read back  each assembled file, cold, against its hash; up to five assemblies
//	 4  mkdir      the directories in kept and foreign that step 6 needs
//	 5  record     disk.Put of the install record
//	 6  set aside  link each old version to its kept name, each foreign file to its
//	               foreign name; sync those directories
//	 7  put        link the staged inode to a path where nothing is; else link it to
//	               a second staged name and rename that over the path; make
//	               directories; set metadata in place; sync the paths' directories
//	 8  remove     unlink paths, but only of inodes that have another name; sync
//	 9  release    unlink kept names of inodes that are shown by a path again
//	10  unstage    unlink the staged names
//	11  rows       enter the batch into the catalog
//
// The staged name lives until the path is durable, so no half of a rename can
// lose a file. A rename onto another link of the same inode does nothing and
// succeeds; the name it leaves goes in step 10.
//
// # A file that grows
//
// A file that does not come on one drive grows in staging, each chunk at the
// offset that it will have. That file is a container like others: its chunks
// count from a record on, and each is checked by its ID whenever it is read. Its
// size and time say nothing, for it may have grown beyond its record. The path
// shows the old version meanwhile.
//
//	1  make room    chunks in the way that the vault has nowhere else go to a
//	                history pack (the file was edited since it began); then
//	                disk.Put of a record: they do not count here any more
//	2  write        chunks that only the drive has, at their offsets, up to 1 GiB
//	3  sync         the file, then its name in staging
//	4  read back    cold, each chunk against its ID; up to five times
//	5  record       disk.Put: these chunks count
//	6  rows         enter them into the catalog
//
// When an Install of the whole entry finds all chunks at hand, the file is
// completed: step 1, then what it lacks is written and not recorded (after a
// crash it is written again), a staged name is linked to it, and the batch goes
// on as for any file: the whole is read back cold against its hash. The record
// says that the container begins, with the entry as its content; the growing
// name goes in step 9 of the batch.
//
// A crash leaves chunks that no record counts: nothing is lost but the work. A
// growing file of which no record tells is junk and is removed by Open. One that
// will never be whole, since its path was deleted or is to show something else,
// stays while half of it is needed; else Compact puts what is needed into history
// and drops it by a record.
//
// # What a crash leaves
//
// Before 5 there is no record: staging holds junk, which the next Open removes.
// A batch begins only when the one before is finished, so only the last record
// can be undone. For each of its actions, and the inode numbers it recorded:
//
//	staged name  path shows   kept name   state, and what Open does
//	-----------  -----------  ----------  -----------------------------------------
//	there        old inode    missing     after 5: steps 6 to 11
//	there        old inode    old inode   after 6: steps 7 to 11
//	there        new inode    old inode   after 7: steps 8 to 11
//	gone         anything     anything    done: only the rows may be missing, and
//	                                      what step 9 took away be back
//
// A removal has no staged name: its path shows the old inode (steps 6 and 8) or
// does not (done). Metadata and directories are set again. What shows a third
// inode was changed by somebody else meanwhile: that action is given up, and a
// void record says so, as it does for an action that fails in steps 6 to 8 of a
// batch; the others are finished.
//
// # Install record
//
// A sealed object (package wire) of kind InstallRecord. Its body, in the codec of
// package wire; u is a Uvarint, v a Varint, s a string with its length:
//
//	1  what it is: 1 = a batch
//	u  number of the record, that of its name
//	u  next container number: all below are used
//	v  time, unix seconds
//	u  number of actions, at most 65,536; for each:
//	   1  kind: 1 place, 2 metadata, 3 remove, 4 directory, 5 drop a container,
//	      6 chunks of a growing file, 7 adopt
//	   1  what lies at the path: 1 nothing, 2 a container that is kept, 3 one that
//	      has another name, 4 a symlink, pipe or empty directory of ours,
//	      5 something foreign, 6 what the action wants there
//	   1  flag: the container begins here
//	   1  flag: what lies there is a directory; of foreign: it is no file
//	   1  flag: the kept or growing name of the container goes (step 9)
//	   1  flag: the old container has a kept name until step 9
//	   1  of a drop, kind of the container: 1 pack, 3 kept, 4 growing; else 0
//	   s  tree, at most 255 bytes; empty for a pack
//	   s  path; of a drop, the container's name in kept or packs; of what grows,
//	      the path it grows for
//	   u  container that the path shows afterwards, or that is dropped; 0: none
//	   u  number of the staged name; 0: none
//	   n  the inode that the path shows afterwards
//	   u  container of the old version; of something foreign, the adopted container
//	      that goes on counting where it goes; 0: none
//	   n  the inode that lies at the path before
//	   s  name that a foreign file goes to; else empty
//	   …  of kinds 1, 2, 4 and 7: the entry (snapshot.EncodeEntry), whole; of 7 as it
//	      was found, without owner and attributes
//	   c  of kind 6: chunks that count here no longer
//	   c  of kind 6: chunks that were written and read back, and count now
//
// n is an inode as it is recognised: u number, v size, v seconds and u
// nanoseconds of the modification time. Of a growing file the size is the end of
// its last chunk that counts.
//
// c is a list of chunks in the order of their offsets: u how many, at most
// 65,536; each: u bytes between the end of the one before, or the beginning of the
// file, and this one, u length (1 byte to 8 MiB), 32 chunk ID.
//
// A void record is sealed alike; its body:
//
//	1  what it is: 2 = actions that were given up
//	u  number of the install record
//	u  how many; for each:
//	   u  index of the action in the record, from 0, rising
//
// A record of restated rows says what the catalog knew when records before it
// were found damaged (Restate). It moves nothing, and each row counts over what
// was told of it before. Its body:
//
//	1  what it is: 3 = restated rows
//	u  number of the record, that of its name
//	u  next container number
//	v  time, unix seconds
//	u  number of rows, at most 65,536; for each:
//	   1  kind: 1 container, 2 chunks, 3 path, 4 no path, 5 link group, 6 no container
//	   container:    u number; 1 kind: 2 mirror, 3 kept, 4 growing, 5 foreign; s tree;
//	                 s name; n inode; 32 hash of the content
//	   chunks:       u container; c its chunks, which follow it in one row or more
//	   path:         s tree; s path; 1 kind of entry; 1 adopted; u container, 0: none;
//	                 n inode; u link group; 32 digest of the entry; 32 hash
//	   no path:      s tree; s path
//	   link group:   s tree; u group; u container
//	   no container: u number
//
// Records are never changed and never removed; a damaged one that was restated
// is called <name>.damaged. Zero is no kind.
package chunkstore
