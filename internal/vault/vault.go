// Package vault is the far end of a route: it takes shipments off a courier drive, keeps plain files and their history,
// and gives an earlier state back.
//
// Unpack (unpack.go) is the story from the drive to the receipt; each of its steps has a file of its own:
//
//	open.go      lock the vault, read its settings, open its chunks
//	shipment.go  the committed shipments on the drive
//	commits.go   the snapshots known: verbatim commits, write-once
//	intake.go    stream chunks into the history, tables of the packs, remaining records
//	drive.go     chunks read off the drive, record by record
//	mirror.go    the newest snapshot against the mirror, in stream order; lookup.go finds single entries for it
//	deletions.go what is gone at home
//	arrival.go   which chunks do the snapshots name and the vault lack; wants.go keeps the list
//	freeing.go   what is condemned and may go, and what the drive revives
//	receipt.go   the whole state towards home, on our own disk first (receiptlog.go), then on the drive;
//	             inventory.go lists all chunks, where home needs that
//
// Adopt (adopt.go) takes a directory that is there already for a tree's place: place.go says where trees may lie, adoptread.go
// reads as home reads.
//
// Prune (prune.go) is the story of a snapshot that is forgotten: retention.go says which, forget.go how, named.go and idset.go what
// those that are left need, condemned.go what home must not count on any more and when that may go.
//
// Besides the chunkstore's own files a vault holds
//
//	.wl/vault.toml                        settings; its appearance makes the directory a vault
//	.wl/lock                              held by every command that works on the vault
//	.wl/joined.commit                     the commit by which the vault joined its route, see joined.go
//	.wl/adopted                           files were adopted once, see joined.go
//	.wl/snapshots/<number>-<shipment>.commit, .forgotten
//	.wl/receipts/<number>-<hash>.receipt
//	.wl/receipts/<number>-<hash>.inventory, <number>.offer    see inventory.go
//	<tree's directory>/.wl/tree           where a tree lies outside the vault: route and tree, see volumes.go
package vault

// Names within the vault's directory.
const (
	metaDir      = ".wl"
	settingsFile = ".wl/vault.toml"
	lockFile     = ".wl/lock"
	snapshotsDir = ".wl/snapshots"
	receiptsDir  = ".wl/receipts"
	indexDir     = ".wl/index"
)
