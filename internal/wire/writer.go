package wire

import "encoding/binary"

// Writer builds a body. The zero Writer is empty and ready.
type Writer struct{ b []byte }

// Bytes returns what was written. It is valid until the next write.
func (w *Writer) Bytes() []byte { return w.b }

// Len returns how many bytes were written.
func (w *Writer) Len() int { return len(w.b) }

// Reset empties the writer and keeps its memory.
func (w *Writer) Reset() { w.b = w.b[:0] }

// Uvarint writes an unsigned number, in 1 to 10 bytes.
func (w *Writer) Uvarint(v uint64) { w.b = binary.AppendUvarint(w.b, v) }

// Varint writes a signed number, in 1 to 10 bytes.
func (w *Writer) Varint(v int64) { w.b = binary.AppendVarint(w.b, v) }

// Byte writes one byte.
func (w *Writer) Byte(v byte) { w.b = append(w.b, v) }

// Bool writes one byte, 0 or 1.
func (w *Writer) Bool(v bool) {
	if v {
		w.b = append(w.b, 1)
	} else {
		w.b = append(w.b, 0)
	}
}

// Fixed writes bytes whose number the reader knows.
func (w *Writer) Fixed(p []byte) { w.b = append(w.b, p...) }

// Blob writes the length of p and p.
func (w *Writer) Blob(p []byte) {
	w.Uvarint(uint64(len(p)))
	w.b = append(w.b, p...)
}

// String writes s as Blob does. Any bytes are allowed in it.
func (w *Writer) String(s string) {
	w.Uvarint(uint64(len(s)))
	w.b = append(w.b, s...)
}
