#Requires -Version 5.1
#Requires -RunAsAdministrator
<#
.SYNOPSIS
Removes softndk, and gives the network adapter its TCP/IP and addresses back.

.DESCRIPTION
Does what install.ps1 did in reverse order: saves the virtual adapter's addresses, removes the virtual adapter, the
pairing and the protocol component, binds TCP/IP to the network adapter again, gives it the addresses, removes the driver
packages and the test certificate. Every step is tried even when one before it failed; what failed is listed at the end.

.PARAMETER KeepCertificate
Leaves the test certificate trusted.

.EXAMPLE
.\uninstall.ps1 -WhatIf

.EXAMPLE
.\uninstall.ps1
#>
[CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
param([string] $Package = $PSScriptRoot, [switch] $KeepCertificate)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. (Join-Path $PSScriptRoot 'softndk.ps1')

$failed = [System.Collections.Generic.List[string]]::new()

function Invoke-Step([string] $What, [scriptblock] $Do) {
    if (-not $PSCmdlet.ShouldProcess($What)) { return }
    Write-Host "== $What"
    try { & $Do } catch { $failed.Add("${What}: $_"); Write-Warning "failed: $_" }
}

$virtual = Get-SoftndkAdapter
$nics = @(Get-SoftndkPairedNics)
$address = if ($virtual) { Save-SoftndkAddress -Nic $virtual } else { $null }

if ($virtual) { Invoke-Step "remove the virtual adapter '$($virtual.Name)' (the network is interrupted)" { Remove-SoftndkDevice } }
foreach ($nic in $nics) {
    Invoke-Step "end the pairing of '$($nic.Name)'" { Remove-SoftndkPairing -Nic $nic }
}
if (Test-SoftndkProtocol) { Invoke-Step 'remove the protocol component' { Invoke-Tool netcfg.exe -v -u $SoftndkProtocolId } }
foreach ($nic in $nics) {
    Invoke-Step "give '$($nic.Name)' its TCP/IP back" {
        Restore-SoftndkNic -Nic $nic -Address $address
    }
}
Invoke-Step 'remove the driver packages' { Remove-SoftndkDriverPackages }
$certificate = Join-Path $Package 'softndk.cer'
if (-not $KeepCertificate -and (Test-Path $certificate)) {
    Invoke-Step 'distrust the test certificate' { Remove-SoftndkCertificate -File $certificate }
}

if ($failed.Count -gt 0) { throw "softndk is not wholly removed:`n  $($failed -join "`n  ")" }
if (-not $WhatIfPreference) { Write-Host 'softndk is removed.' }
