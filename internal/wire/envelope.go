package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"waterlock/internal/chunk"
)

// Kind tells what an envelope holds. Zero is no kind.
type Kind uint8

// The kinds. Their numbers and contexts never change.
const (
	Commit        Kind = 1
	Receipt       Kind = 2
	InstallRecord Kind = 3
	ChunkList     Kind = 4
	OpenShipment  Kind = 5
	ScanBlock     Kind = 6
	Return        Kind = 7
	Landing       Kind = 8
)

var kinds = [...]struct{ name, context string }{
	Commit:        {"commit", "waterlock 2026-11 envelope of a commit"},
	Receipt:       {"receipt", "waterlock 2026-11 envelope of a receipt"},
	InstallRecord: {"install record", "waterlock 2026-11 envelope of an install record"},
	ChunkList:     {"chunk list", "waterlock 2026-11 envelope of a chunk list"},
	OpenShipment:  {"open shipment", "waterlock 2026-11 envelope of an open shipment"},
	ScanBlock:     {"scan block", "waterlock 2026-11 envelope of a scan block"},
	Return:        {"return", "waterlock 2026-11 envelope of a return"},
	Landing:       {"landing", "waterlock 2026-11 envelope of a landing"},
}

// Valid reports whether the kind is one of those above.
func (k Kind) Valid() bool { return k > 0 && int(k) < len(kinds) }

func (k Kind) String() string {
	if k.Valid() {
		return kinds[k].name
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// RouteID names a route. The zero RouteID names none.
type RouteID [16]byte

// String returns the ID as 32 lower-case hex digits.
func (r RouteID) String() string { return hex.EncodeToString(r[:]) }

// IsZero reports whether the ID names no route.
func (r RouteID) IsZero() bool { return r == RouteID{} }

// ParseRouteID reads what String wrote: exactly 32 lower-case hex digits.
func ParseRouteID(s string) (RouteID, error) {
	var r RouteID
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(r) || hex.EncodeToString(b) != s {
		return RouteID{}, fmt.Errorf("route id %q: %d lower-case hex digits expected", s, 2*len(r))
	}
	return RouteID(b), nil
}

// Sizes of an envelope.
const (
	MaxBody  = 256 << 20               // the largest body
	Overhead = envelopeHead + sealSize // what an envelope adds to its body
	MaxSize  = MaxBody + Overhead      // the largest sealed object

	envelopeHead = 40
	sealSize     = 32
)

const (
	Version  = 1 // of the format
	sealHash = 1 // the only seal so far: a checksum
)

var magic = [8]byte{0x89, 'W', 'L', 'K', 0x0d, 0x0a, 0x1a, 0x0a}

// Seal puts body into an envelope. It panics where kind is none or body is
// larger than MaxBody: the caller bounds what it builds.
func Seal(k Kind, route RouteID, body []byte) []byte {
	if !k.Valid() {
		panic("wire: Seal of an unknown kind")
	}
	if len(body) > MaxBody {
		panic("wire: Seal of too large a body")
	}
	b := make([]byte, 0, len(body)+Overhead)
	b = append(b, magic[:]...)
	b = binary.LittleEndian.AppendUint16(b, Version)
	b = append(b, byte(k), sealHash, 0, 0, 0, 0)
	b = append(b, route[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(body)))
	b = append(b, body...)
	sum := chunk.Checksum(kinds[k].context, b)
	return append(b, sum[:]...)
}

// Open checks an envelope of the kind and returns its route and its body,
// which is a part of b.
func Open(k Kind, b []byte) (route RouteID, body []byte, err error) {
	if !k.Valid() {
		panic("wire: Open of an unknown kind")
	}
	if len(b) < len(magic) || !bytes.Equal(b[:8], magic[:]) {
		return route, nil, &Error{ErrMagic, 0, hex.EncodeToString(magic[:]), hex.EncodeToString(b[:min(8, len(b))])}
	}
	if len(b) < envelopeHead {
		return route, nil, &Error{ErrLength, int64(len(b)), "a head of 40 bytes", fmt.Sprintf("%d bytes", len(b))}
	}
	if v := binary.LittleEndian.Uint16(b[8:]); v != Version {
		return route, nil, &Error{ErrVersion, 8, fmt.Sprint(Version), fmt.Sprint(v)}
	}
	if Kind(b[10]) != k {
		return route, nil, &Error{ErrKind, 10, k.String(), Kind(b[10]).String()}
	}
	if b[11] != sealHash {
		return route, nil, &Error{ErrSeal, 11, fmt.Sprint(sealHash), fmt.Sprint(b[11])}
	}
	n := binary.LittleEndian.Uint64(b[32:])
	if n > MaxBody || int(n) != len(b)-Overhead {
		return route, nil, &Error{ErrLength, 32, fmt.Sprintf("a body of %d bytes", len(b)-Overhead), fmt.Sprint(n)}
	}
	end := envelopeHead + int(n)
	sum := chunk.Checksum(kinds[k].context, b[:end])
	if !bytes.Equal(sum[:], b[end:]) {
		return route, nil, &Error{ErrChecksum, int64(end), hex.EncodeToString(sum[:]), hex.EncodeToString(b[end:])}
	}
	if z := binary.LittleEndian.Uint32(b[12:]); z != 0 {
		return route, nil, &Error{ErrMalformed, 12, "0", fmt.Sprint(z)}
	}
	return RouteID(b[16:32]), b[envelopeHead:end:end], nil
}

// OpenRoute is Open for an object that must be of this route.
func OpenRoute(k Kind, route RouteID, b []byte) (body []byte, err error) {
	found, body, err := Open(k, b)
	if err != nil {
		return nil, err
	}
	if found != route {
		return nil, &Error{ErrRoute, 16, route.String(), found.String()}
	}
	return body, nil
}
