package snapshot

import (
	"context"
	"errors"
	"io"

	"waterlock/internal/chunk"
	"waterlock/internal/disk"
)

// HashZeros writes n zeros to a hasher.
func HashZeros(ctx context.Context, h *chunk.ContentHasher, n int64) error {
	for n > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n -= h.Zeros(n)
	}
	return nil
}

// smallestHole is the size from which a range is worth asking for its holes.
const smallestHole = 64 << 10

// HashRange writes the bytes of a file from off to end to a hasher, by a buffer
// of the caller's. Holes are not read: that they are zeros is what makes them
// holes. A file that ends before is hashed as far as it goes.
func HashRange(ctx context.Context, h *chunk.ContentHasher, f disk.File, off, end int64, buf []byte) error {
	for off < end {
		data, next := off, end
		if end-off >= smallestHole {
			var err error
			if data, next, err = f.Data(off); errors.Is(err, io.EOF) {
				st, err := f.Stat()
				if err != nil {
					return err
				}
				return HashZeros(ctx, h, min(end, st.Size)-off)
			} else if err != nil {
				return err
			}
			data, next = min(data, end), min(next, end)
			if err := HashZeros(ctx, h, data-off); err != nil {
				return err
			}
		}
		for off = data; off < next; {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			n, err := f.ReadAt(buf[:min(int64(len(buf)), next-off)], off)
			h.Write(buf[:n])
			off += int64(n)
			if errors.Is(err, io.EOF) && off < next {
				return nil
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
		}
	}
	return nil
}

// HashFile hashes the whole content of a file by a buffer of the caller's.
func HashFile(ctx context.Context, f disk.File, buf []byte) (sum chunk.ContentHash, err error) {
	st, err := f.Stat()
	if err != nil {
		return sum, err
	}
	h := chunk.NewContentHasher()
	if err := HashRange(ctx, h, f, 0, st.Size, buf); err != nil {
		return sum, err
	}
	return h.Sum(), nil
}

// MinHole is the shortest hole of a file that is kept as one: shorter ones are
// read as the zeros they are.
const MinHole = 256 << 10

// DataFrom finds the next range of data at or behind off, with holes that are
// too short taken into it. At the end of all data it returns the range [size,
// size). Content is cut range by range: who cuts at other ranges gets other
// chunks.
func DataFrom(f disk.File, off, size int64) (start, end int64, err error) {
	start, end, err = f.Data(off)
	if errors.Is(err, io.EOF) || err == nil && start >= size {
		if size-off < MinHole {
			return off, size, nil
		}
		return size, size, nil
	}
	if err != nil {
		return 0, 0, err
	}
	if start-off < MinHole {
		start = off
	}
	for end < size {
		s, e, err := f.Data(end)
		if errors.Is(err, io.EOF) {
			s, e, err = size, size, nil
		}
		if err != nil {
			return 0, 0, err
		}
		if s-end >= MinHole {
			break
		}
		end = max(e, s)
	}
	return start, min(end, size), nil
}
