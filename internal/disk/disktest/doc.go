// Package disktest has doubles of package disk for tests: Mem, a file system
// in memory that loses power; Fault, which fails at a chosen operation; and
// Flipper, a drive that does not keep what it was given.
//
// A crash test runs what it tests on a Mem with CrashAfter(k), for k from 0
// until nothing crashes any more, and each time looks at what Crashed leaves:
//
//	for k := 0; ; k++ {
//		m := disktest.NewMem()
//		… set up, synced …
//		m.CrashAfter(k)
//		err := work(m)
//		… check work's promises on m.Crashed(disktest.Strict, 0), and on the other modes …
//		if err == nil { break }
//	}
//
// A fault test does the same with Fault.FailAt, from 1.
package disktest
