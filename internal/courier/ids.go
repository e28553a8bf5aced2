package courier

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// DriveID is drawn at "wl drive init".
type DriveID [16]byte

// String returns 32 lower-case hex digits.
func (id DriveID) String() string { return hex.EncodeToString(id[:]) }

// ParseDriveID reads what String wrote.
func ParseDriveID(s string) (DriveID, error) {
	id, err := parse16(s)
	return DriveID(id), err
}

// ShipmentID is drawn when a shipment is opened.
type ShipmentID [16]byte

// String returns 32 lower-case hex digits.
func (id ShipmentID) String() string { return hex.EncodeToString(id[:]) }

// Short returns 8 hex digits, for people.
func (id ShipmentID) Short() string { return id.String()[:8] }

// NewShipmentID draws an ID.
func NewShipmentID() (id ShipmentID) {
	rand.Read(id[:])
	return id
}

// ParseShipmentID reads what String wrote.
func ParseShipmentID(s string) (ShipmentID, error) {
	id, err := parse16(s)
	return ShipmentID(id), err
}

// Epoch is drawn by a vault at init, and whenever it notices that it was
// rolled back.
type Epoch [16]byte

// String returns 32 lower-case hex digits.
func (e Epoch) String() string { return hex.EncodeToString(e[:]) }

func parse16(s string) (id [16]byte, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) || hex.EncodeToString(b) != s {
		return id, fmt.Errorf("id %.40q: 32 lower-case hex digits expected", s)
	}
	return [16]byte(b), nil
}
