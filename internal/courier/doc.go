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
//	highest snapshot · newest arrived · awaited · free · total
//	count of shipments taken:  number · shipment [16] · records · all bool · bits [(records+7)/8] unless all
//	count of wants:      chunk id [32] · kind u8
//	count of condemned:  chunk id [32]
//
// Shipments taken ascend by number, then id; wants and condemned by chunk id.
// Bit i of byte i/8 says that record i arrived, in the order of the commit's
// files; the bits beyond the last record are 0, and at least one of those
// before is 0 too: else it would be "all".
package courier
