// Package chunkstore holds the vault's chunks.
package chunkstore
