// Package courier knows what lies on a courier drive, and how it comes there
// and goes away again.
//
//	waterlock/
//	  drive.json                              id, label, format
//	  README.txt, bin/                        for people: see program.go
//	  <route id, 32 hex>/
//	    shipments/<shipment id, 32 hex>/
//	      NNNNNN.pack                         data packs, numbered from 000001
//	      NNNNNN.meta                         packs of stream chunks, likewise
//	      <BLAKE3 of the file, 64 hex>.commit written last
//	    receipts/<number>-<BLAKE3 of the file, 64 hex>.receipt
//	    returns/<homecoming id, 32 hex>/      what goes the other way: see Return
//	      <return id, 32 hex>/
//	        NNNNNN.pack, NNNNNN.meta          as in a shipment
//	        <BLAKE3 of the file, 64 hex>.return   written last
//	      <number>-<BLAKE3 of the file, 64 hex>.landing
//	    receipts/<number>-<BLAKE3 of the file, 64 hex>.inventory  written before its receipt: see inventory.go
//
// Nothing on a drive is ever renamed or written over. A shipment is complete
// once a valid commit lies in it, and open before. Names that are not exactly
// of these forms are somebody else's and are ignored.
//
// # Hostile until verified
//
// Whatever is read from a drive may have been made by an enemy or by a dying
// stick. Lengths are bounded before memory is reserved, seals are checked
// before anything is believed, and no name that a file holds is opened unless
// it is of the form above and in the file's own directory.
//
// # Commit
//
// A sealed object (package wire) of kind commit, at most 64 MiB, whose body is
//
//	route name · created · polynomial · min · max · average bits u8 · encrypted bool
//	shipment id [16] · attempt · drive id [16] · drive label · time · tool
//	count of files:  name · kind u8 · size · records · BLAKE3 [32] · read back u8
//	snapshot record (package snapshot)
//	basis: epoch [16] · receipt number
//	inventory bool
//	floor
//	count of shipments out:  number · shipment [16] · drive [16] · label · time · lost bool
//
// Numbers are uvarints where no width is given, strings are a length and bytes,
// a time is seconds since 1970 and nanoseconds, both 0 for none. Files come
// data packs first, then meta packs, each ascending by name; shipments out
// ascend by number, then id. So one value has one encoding.
//
// # Receipt
//
// A sealed object of kind receipt, at most 128 MiB, whose body is
//
//	vault name · epoch [16] · number · time
//	highest snapshot · newest arrived · awaited · cleared
//	inventory: count · BLAKE3 [32]
//	read since · free · total
//	count of shipments taken:  number · shipment [16] · records · all bool · bits [(records+7)/8] unless all
//	count of wants:      chunk id [32] · kind u8 · snapshot · path
//	count of condemned:  chunk id [32] · since
//
// Shipments taken ascend by number, then id; wants and condemned by chunk id.
// Bit i of byte i/8 says that record i arrived, in the order of the commit's
// files; the bits beyond the last record are 0, and at least one of those
// before is 0 too: else it would be "all".
//
// # Return
//
// What a vault packs for a new home: a homecoming is a snapshot, or paths of
// it, on its way there; a return is what one run puts on one drive. Each brings
// the streams of the homecoming in full, so it can be read without any other,
// and the chunks of some of its files. A sealed object of kind return, at most
// 96 MiB, whose body is
//
//	route name … encrypted, as in a commit
//	return id [16] · drive id [16] · drive label · time · tool · vault name
//	count of files: as in a commit
//	snapshot record (package snapshot)
//	count of paths asked for:  TREE or TREE/PATH
//	cover: what of which files is aboard
//	files left · plain bytes left
//
// The homecoming's id is the checksum of the snapshot's id and the paths, its
// first 16 bytes. Paths ascend in tree order, none lies under another; none at
// all stands for all trees.
//
// # Landing
//
// What the new home says back: its whole state, so that the newest alone
// suffices. A sealed object of kind landing, whose body is
//
//	homecoming id [16] · place [16] · begun · number · time · host · complete bool
//	count of returns taken:  return id [16], ascending
//	cover: what of which files is there
//
// A place is drawn where the first return is taken. Landings are ordered by
// begun, place, number.
//
// # Cover
//
//	count of trees:  name, ascending
//	  count of spans:  from · to                 paths, both included, in tree order
//	  count of parts:  path
//	    count of ranges:  bytes since the end of the one before · length
//
// A span stands for every file of the homecoming between its paths. Parts are
// files of which some is there; holes count as there.
package courier
