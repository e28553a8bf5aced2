package courier

import (
	"fmt"
	"math"
	"time"

	"waterlock/internal/wire"
)

// maxSeconds is the end of the year 9999.
const maxSeconds = 253402300799

// writeTime writes the zero time as 0, 0.
func writeTime(w *wire.Writer, t time.Time) {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	w.Uvarint(uint64(t.Unix()))
	w.Uvarint(uint64(t.Nanosecond()))
}

func readTime(r *wire.Reader) time.Time {
	sec, nsec := r.Uvarint(), r.Uvarint()
	if sec > maxSeconds || nsec >= 1e9 {
		r.Fail("a time from 1970 to 9999", fmt.Sprintf("%d.%09d", sec, nsec))
	}
	if sec == 0 && nsec == 0 || r.Err() != nil {
		return time.Time{}
	}
	return time.Unix(int64(sec), int64(nsec)).UTC()
}

func readU32(r *wire.Reader) uint32 {
	v := r.Uvarint()
	if v > math.MaxUint32 {
		r.Fail("a number below 2^32", fmt.Sprint(v))
	}
	return uint32(v)
}

func readInt64(r *wire.Reader) int64 {
	v := r.Uvarint()
	if v > math.MaxInt64 {
		r.Fail("a number below 2^63", fmt.Sprint(v))
	}
	return int64(v)
}
