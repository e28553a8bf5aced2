// Package disk puts bytes on disks and reads them back: durably and verified.
package disk
