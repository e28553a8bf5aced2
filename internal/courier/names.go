package courier

import (
	"fmt"
	"regexp"
	"strconv"

	"waterlock/internal/chunk"
	"waterlock/internal/wire"
)

// Names on the drive.
const (
	topDir       = "waterlock"
	driveFile    = topDir + "/drive.json"
	shipmentsDir = "shipments"
	receiptsDir  = "receipts"
	returnsDir   = "returns"

	inventorySuffix = ".inventory"
)

var (
	packPattern    = regexp.MustCompile(`^[0-9]{6}\.(pack|meta)$`)
	commitPattern  = regexp.MustCompile(`^[0-9a-f]{64}\.commit$`)
	returnPattern  = regexp.MustCompile(`^[0-9a-f]{64}\.return$`)
	landingPattern = regexp.MustCompile(`^([1-9][0-9]{0,18})-[0-9a-f]{64}\.landing$`)
	receiptPattern = regexp.MustCompile(`^([1-9][0-9]{0,19})-[0-9a-f]{64}\.receipt$`)
	// A finished inventory, or one that a crash left behind.
	inventoryPattern = regexp.MustCompile(`^(?:([1-9][0-9]{0,19})-[0-9a-f]{64}\.inventory|([1-9][0-9]{0,19})\.inventory\.tmp)$`)
)

// PackName is the name of the n-th pack of a kind, from 1 to MaxPacks.
func PackName(n int, k chunk.Kind) string {
	suffix := "pack"
	if k == chunk.Stream {
		suffix = "meta"
	}
	return fmt.Sprintf("%06d.%s", n, suffix)
}

// packNameKind returns the kind of a pack by its name, or that it is none.
func packNameKind(name string) (chunk.Kind, bool) {
	switch {
	case !packPattern.MatchString(name) || name[:6] == "000000":
		return 0, false
	case name[7:] == "meta":
		return chunk.Stream, true
	}
	return chunk.Data, true
}

// PackNumber is the number in the name of a pack, 0 if it is none.
func PackNumber(name string) int {
	if _, ok := packNameKind(name); !ok {
		return 0
	}
	n, err := strconv.Atoi(name[:6])
	if err != nil {
		return 0
	}
	return n
}

// CommitName is the name of the file that holds the sealed commit b.
func CommitName(b []byte) string { return chunk.SumDigest(b).String() + ".commit" }

// ReceiptName is the name of the file that holds the sealed receipt b.
func ReceiptName(number uint64, b []byte) string {
	return strconv.FormatUint(number, 10) + "-" + chunk.SumDigest(b).String() + ".receipt"
}

// receiptNumber returns the number in a receipt's name, 0 if it is none.
func receiptNumber(name string) uint64 {
	m := receiptPattern.FindStringSubmatch(name)
	if m == nil {
		return 0
	}
	n, err := strconv.ParseUint(m[1], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// ReturnName is the name of the file that holds the sealed return b.
func ReturnName(b []byte) string { return chunk.SumDigest(b).String() + ".return" }

// LandingName is the name of the file that holds the sealed landing b.
func LandingName(number uint64, b []byte) string {
	return strconv.FormatUint(number, 10) + "-" + chunk.SumDigest(b).String() + ".landing"
}

// HomecomingDir is the directory of a homecoming, relative to the drive.
func HomecomingDir(route wire.RouteID, id HomecomingID) string {
	return returnsOf(route) + "/" + id.String()
}

// ReturnDir is the directory of a return, relative to the drive.
func ReturnDir(route wire.RouteID, of HomecomingID, id ReturnID) string {
	return HomecomingDir(route, of) + "/" + id.String()
}

// ShipmentDir is the directory of a shipment, relative to the drive.
func ShipmentDir(route wire.RouteID, id ShipmentID) string {
	return shipmentsOf(route) + "/" + id.String()
}

func routeDir(route wire.RouteID) string    { return topDir + "/" + route.String() }
func shipmentsOf(route wire.RouteID) string { return routeDir(route) + "/" + shipmentsDir }
func returnsOf(route wire.RouteID) string   { return routeDir(route) + "/" + returnsDir }
func receiptsOf(route wire.RouteID) string  { return routeDir(route) + "/" + receiptsDir }
