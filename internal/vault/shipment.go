package vault

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"waterlock/internal/courier"
)

// shipment is one committed shipment on the drive.
type shipment struct {
	dir       string // relative to the drive
	bytes     []byte // its commit, verbatim
	commit    *courier.Commit
	bits      bitset // records that the vault has
	kept      bool   // the vault knows its snapshot, or has forgotten it
	isNew     bool   // it knows it since this run
	forgotten bool
}

// shipmentsOn lists the committed shipments of a route on the drive, oldest first, and counts the open ones, which are
// not finished at home and none of our business. A commit that fails its check is named and costs its shipment.
func (u *unpacking) shipmentsOn(context.Context) error {
	list, err := u.courier.Shipments(u.v.id)
	if err != nil {
		return err
	}
	for _, s := range list {
		for _, problem := range s.Problems {
			u.rep.Problem(s.Path, problem)
			u.result.Damaged++
		}
		if len(s.Commits) == 0 {
			if len(s.Problems) == 0 {
				u.result.Open++
				u.rep.Verbose("%s has no commit: home has not finished it", s.Path)
			}
			continue
		}
		found := s.Commits[0]
		if found.Commit.Route.ID != u.v.id || found.Commit.Shipment != s.ID {
			u.rep.Problem(s.Path+"/"+found.Name, errElsewhere)
			u.result.Damaged++
			continue
		}
		u.shipments = append(u.shipments, &shipment{
			dir:    s.Path,
			bytes:  found.Bytes,
			commit: found.Commit,
			bits:   newBitset(found.Commit.Records()),
		})
	}
	slices.SortFunc(u.shipments, func(a, b *shipment) int {
		return cmp.Or(cmp.Compare(a.commit.Snapshot.Number, b.commit.Snapshot.Number), bytes.Compare(a.commit.Shipment[:], b.commit.Shipment[:]))
	})
	return nil
}

// bitset has one bit for each record of a shipment, as a receipt carries them.
type bitset struct {
	bytes []byte
	n     uint32
}

func newBitset(n uint32) bitset { return bitset{make([]byte, (uint64(n)+7)/8), n} }

func (b bitset) set(i uint32)      { b.bytes[i/8] |= 1 << (i % 8) }
func (b bitset) has(i uint32) bool { return b.bytes[i/8]&(1<<(i%8)) != 0 }

func (b bitset) all() bool {
	for i := uint32(0); i < b.n; i++ {
		if i%8 == 0 && i+8 <= b.n {
			if b.bytes[i/8] != 0xff {
				return false
			}
			i += 7
			continue
		}
		if !b.has(i) {
			return false
		}
	}
	return true
}

// taken is what the receipt says of the shipment.
func (s *shipment) taken() courier.Taken {
	t := courier.Taken{
		Number:   s.commit.Snapshot.Number,
		Shipment: s.commit.Shipment,
		Records:  s.bits.n,
		All:      s.bits.all(),
	}
	if !t.All {
		t.Bits = bytes.Clone(s.bits.bytes)
	}
	return t
}
