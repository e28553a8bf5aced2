// Package disk puts bytes on disks and reads them back: durably and verified.
//
// Everything goes through FS, a directory and what lies below it. Dir is the
// real one; package disktest has doubles that lose power, fail, and flip bits.
//
// # What is assumed of a disk
//
// Of every disk:
//
//  1. Once File.Sync or FS.SyncFiles returned without an error, the contents
//     and metadata of these files survive a loss of power.
//  2. Bytes that were synced do not change because others are written. Bytes
//     that were not synced may be old, new, zero or torn after a loss of power,
//     512 bytes at a time, and the size may be that before, that after, or any
//     between.
//  3. After a failed sync nothing is known of a file: the next sync may well
//     report success for lost bytes. Such a file is written anew under another
//     name.
//  4. A read after a successful Evict that says Cold comes from below the page
//     cache. A drive's own cache is beyond our reach; it obeys the flush of
//     the sync before.
//  5. Create with an existing name fails (O_EXCL), and a lock (flock) is free
//     again once its process is dead.
//
// Of our own disks (home's state and the vault, never the courier drive):
//
//  6. SyncDir makes the names in one directory durable, and nothing else does:
//     syncing a new file does not make its name durable, and changes of
//     different directories may reach the disk in any order.
//  7. The changes of one directory reach the disk in their order. A rename
//     within a directory is one change: after a loss of power the name shows
//     the old file or the new one, whole, as each was synced.
//  8. A rename from one directory to another is durable once both directories
//     are synced. Before that, the file may be seen under the old name, the
//     new one, or both, but never under none.
//  9. A file keeps its inode number for as long as it exists, also over
//     renames and loss of power. The number of a removed file may be used again
//     at once.
//  10. On Linux /proc is mounted.
//
// Of a courier drive 6 to 9 are not assumed. There a file is written once,
// under its final name, and an error or a crash leaves at worst a file that
// fails its own checksum, or none.
//
// # How a directory is reached
//
// On Linux and macOS each operation is one call relative to a descriptor of
// the directory (openat and its kin), with one more for the parent where the
// name has several components; openat2 with RESOLVE_NO_SYMLINKS where there is
// one, else component by component with O_NOFOLLOW. Elsewhere it is os.Root,
// with each parent checked to be a real directory first.
package disk
